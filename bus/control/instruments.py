"""The whole bus as samples of `bus.metrics`, as an onlooker sees it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from bus import metrics
from bus.errors import DependencyError
from bus.metrics import Instrument, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bus.control.health import BusHealth
    from bus.control.observer import Observer

FRESH_SECONDS: Final = 1.0
"""An observation is good for so long, however many ask."""


def of_bus(observer: Observer) -> Instrument:
    """The bus's: it is observed when it is asked for."""
    looking = asyncio.Lock()
    latest: list[BusHealth] = []
    trouble = ""

    async def samples() -> list[Sample]:
        nonlocal trouble
        async with looking:
            if not latest or time.time() > latest[0].time + FRESH_SECONDS:
                try:
                    latest[:] = [await observer.observe()]
                    trouble = ""
                except DependencyError as error:
                    trouble = error.summary
                    latest.clear()
        return [sample for health in latest for sample in samples_of(health)]

    return Instrument("bus", samples, lambda: trouble)


def samples_of(health: BusHealth) -> Iterator[Sample]:
    """A picture of the bus as samples; what is not known is left out."""
    yield Sample(metrics.VERDICT, ("bus", health.bus_id), health.verdict.severity)
    for kind in ("departments", "datasets", "entities", "subscribers", "adapters", "workers"):
        for part in getattr(health, kind):
            yield Sample(metrics.VERDICT, (kind, part.name), part.verdict.severity)
    for dataset in health.datasets:
        yield Sample(metrics.DATASET_LAG, (dataset.name,), dataset.lag)
        yield Sample(metrics.DATASET_PROMISE, (dataset.name,), dataset.promise_seconds)
        yield Sample(metrics.DATASET_REJECTS, (dataset.name,), dataset.open_rejects)
        if dataset.freshness_seconds is not None:
            yield Sample(metrics.DATASET_FRESHNESS, (dataset.name,), dataset.freshness_seconds)
    for entity in health.entities:
        yield Sample(metrics.ENTITY_LAG, (entity.name,), entity.lag)
    yield from _of_views(health)
    heard = [
        *(("adapters", each.name, each.heard) for each in health.adapters),
        *(("workers", each.name, each.heard) for each in health.workers),
    ]
    for kind, name, at in heard:
        if at is not None:
            yield Sample(metrics.HEARD_AGE, (kind, name), max(0.0, health.time - at))


def _of_views(health: BusHealth) -> Iterator[Sample]:
    for view in health.views:
        yield Sample(metrics.VERDICT, ("views", view.topic), view.verdict.severity)
        yield Sample(metrics.VIEW_FILLED, (view.topic,), view.filled)
        if view.freshness_seconds is not None:
            yield Sample(metrics.VIEW_FRESHNESS, (view.topic,), view.freshness_seconds)
        if view.latency_seconds is not None:
            yield Sample(metrics.VIEW_LATENCY, (view.topic,), view.latency_seconds)
    for subscription in (each for subscriber in health.subscribers for each in subscriber.subscriptions):
        if subscription.lag is not None:
            yield Sample(metrics.SUBSCRIPTION_LAG, (subscription.name,), subscription.lag)
