"""The few numbers of the whole bus that stand at the top of the page, and their last minutes."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.control.health import BusHealth

TREND_SECONDS: Final = 600.0
"""What the trend shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Of the whole bus.

    Attributes:
        received: changes per second that come from the departments.
        delivered: records per second that are put into views.
        freshness_p95: 95 of 100 datasets are at least so fresh, in seconds; None if none is known.
        punctual: datasets that are not past their owner's promise.
        datasets: all.
        waiting: records that some stage has not done yet.
        open_rejects: not mended yet.
        adapters, workers: those that are well, and all; without workers that are gone and whose lanes others have.
    """

    received: float
    delivered: float
    freshness_p95: float | None
    punctual: int
    datasets: int
    waiting: int
    open_rejects: int
    adapters: tuple[int, int]
    workers: tuple[int, int]


def totals(health: BusHealth) -> Totals:
    """The sums."""
    ages = [each.freshness_seconds for each in health.datasets if each.freshness_seconds is not None]
    late = [
        each
        for each in health.datasets
        if each.freshness_seconds is not None and each.freshness_seconds > each.promise_seconds
    ]
    workers = [each for each in health.workers if each.state not in {"stopped", "silent"} or not each.ok]
    return Totals(
        received=sum(each.rate for each in health.datasets),
        delivered=sum(each.rate for each in health.views),
        freshness_p95=percentile(ages, 0.95),
        punctual=len(health.datasets) - len(late),
        datasets=len(health.datasets),
        waiting=sum(each.lag for each in health.datasets) + sum(each.lag for each in health.entities),
        open_rejects=sum(each.open_rejects for each in health.datasets),
        adapters=(sum(each.ok for each in health.adapters), len(health.adapters)),
        workers=(sum(each.ok for each in workers), len(workers)),
    )


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that `share` of the values do not exceed; None of none."""
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[max(math.ceil(len(ordered) * share), 1) - 1]


class Trend:
    """The totals' last minutes: time, received and delivered per second, freshness."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, float, float, float | None]] = deque()

    def add(self, time: float, seen: Totals) -> None:
        """One more point; those that are too old go."""
        self._points.append((time, seen.received, seen.delivered, seen.freshness_p95))
        while self._points[0][0] < time - TREND_SECONDS:
            self._points.popleft()

    def as_json(self) -> list[Any]:
        """Rows of `[time, received, delivered, freshness]`, the oldest first."""
        return [[round(value, 3) if value is not None else None for value in point] for point in self._points]
