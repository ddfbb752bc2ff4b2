"""What needs a person now: the verdicts that are not OK, each cause once, with all that it touches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bus.control.health import (
    AdapterHealth,
    BusHealth,
    DatasetHealth,
    DepartmentHealth,
    EntityHealth,
    Judged,
    SubscriberHealth,
    SubscriptionHealth,
    ViewHealth,
    WorkerHealth,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the picture by kind and name."""

    kind: str
    name: str
    title: str


Lasting = tuple[Part, str]
"""Where a problem begins, and its code: by these it is known again, for its sentence may tell how long it lasts."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A cause that a person must see to.

    Attributes:
        origin: the part where it begins, first in the order of the flow.
        judged: its verdict, cause and action.
        affected: the other parts that bear the same cause.
        contacts: whom to call at the department that owns it.
        since: when this console saw it first; seconds since 1970.
    """

    origin: Part
    judged: Judged
    affected: tuple[Part, ...]
    contacts: tuple[str, ...]
    since: float


def problems(health: BusHealth, seen: Mapping[Lasting, float]) -> tuple[Problem, ...]:
    """Every cause once, the worst first and among equals what has lasted longest.

    Args:
        health: the picture.
        seen: since when each origin has had its cause, of the observation before.
    """
    groups: dict[tuple[str, str], list[Judged]] = {}
    for judged in _judged(health):
        if not judged.ok:
            groups.setdefault(_shared_by(judged), []).append(judged)
    found = [_problem(health, parts, seen) for parts in groups.values()]
    return tuple(sorted(found, key=lambda each: (-each.judged.verdict.severity, each.since, each.origin.name)))


def lasting(found: Iterable[Problem]) -> dict[Lasting, float]:
    """Since when each has been there, for the next observation."""
    return {(each.origin, each.judged.code): each.since for each in found}


def _judged(health: BusHealth) -> Iterator[Judged]:
    """Every part, in the order in which a cause goes through them; departments and subscribers only pass on."""
    yield from health.adapters
    yield from health.workers
    yield from health.datasets
    yield from health.entities
    yield from health.views
    for subscriber in health.subscribers:
        yield subscriber
        yield from subscriber.subscriptions
    yield from health.departments


def _shared_by(judged: Judged) -> tuple[str, str]:
    """What parts with one problem share: its sentence, or the subscriber: one system, however much it receives."""
    match judged:
        case SubscriptionHealth(code=code, subscriber=name) | SubscriberHealth(code=code, name=name):
            return code, name
        case _:
            return judged.code, judged.cause


def _problem(health: BusHealth, parts: list[Judged], seen: Mapping[Lasting, float]) -> Problem:
    worst = max(parts, key=lambda each: each.verdict.severity)
    named = list(dict.fromkeys(part_of(each) for each in parts))
    owner = _department(parts)
    return Problem(
        origin=named[0],
        judged=worst,
        affected=tuple(each for each in named[1:] if each.kind not in {"department", "subscriber"}),
        contacts=next((each.contacts for each in health.departments if each.name == owner), ()),
        since=seen.get((named[0], worst.code), health.time),
    )


def _department(parts: list[Judged]) -> str:
    owners = [each.department for each in parts if isinstance(each, (AdapterHealth, DatasetHealth, SubscriberHealth))]
    return next((name for name in owners if name), "")


_KINDS: Final[dict[type[Judged], str]] = {
    AdapterHealth: "adapter",
    WorkerHealth: "worker",
    DatasetHealth: "dataset",
    EntityHealth: "entity",
    ViewHealth: "view",
    SubscriptionHealth: "subscription",
    SubscriberHealth: "subscriber",
    DepartmentHealth: "department",
}


def part_of(judged: Judged) -> Part:
    """Kind, name and title of a part; views go by their topic, workers by their host."""
    name: str = getattr(judged, "name", "")
    if isinstance(judged, ViewHealth):
        name = judged.topic
    elif isinstance(judged, WorkerHealth):
        name = judged.host or name
    return Part(_KINDS[type(judged)], name, getattr(judged, "title", ""))
