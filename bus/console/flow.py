"""The picture of the flow: five columns of nodes and the edges between neighbours, as a value without colours or texts.

A column has at most so many rows that a wall screen can be read from 3 m: what needs attention and what flows most has
a row of its own, the others share the last one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import fmean
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bus.control.health import BusHealth, DatasetHealth, Judged, SubscriberHealth, Verdict

KINDS: Final = ("department", "dataset", "entity", "view", "subscriber")
"""The columns, from left to right."""

ROWS: Final = 12
"""Rows of a column, unless all are asked for."""

HEIGHT: Final = 1000.0
"""Of the drawing between two columns, in its own units; its width is the same."""

_THINNEST, _THICKEST = 1.5, 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A row of a column.

    Attributes:
        id: unique on the page.
        kind: of `KINDS`.
        part: whose verdict it shows: the worst one's of a row that several share.
        rate: records per second; None if it is not known.
        freshness_seconds: None if it is not known.
        waiting: records that wait for it; None if it is not known.
        open_rejects: of a department or dataset.
        filled: of a view.
        shared_by: how many share the row; 0 for a part of its own.
    """

    id: str
    kind: str
    name: str
    title: str
    part: Judged
    rate: float | None = None
    freshness_seconds: float | None = None
    waiting: int | None = None
    open_rejects: int = 0
    filled: float = 1.0
    shared_by: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """From one node to another, by their ids; `rate` is None where nobody can see it."""

    source: str
    target: str
    verdict: Verdict
    rate: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A link as a curve between two columns.

    Attributes:
        path: SVG path in a square of `HEIGHT`.
        width: of the line, in pixels.
        pace: how fast it seems to flow: still, slow, brisk or fast; unseen where the rate is not known.
    """

    link: Link
    path: str
    width: float
    pace: str


@dataclass(frozen=True, slots=True)
class Flow:
    """Five columns, and the edges in the four gaps between them."""

    columns: tuple[tuple[Node, ...], ...]
    gaps: tuple[tuple[Edge, ...], ...]


def flow(health: BusHealth, rows: int | None = ROWS) -> Flow:
    """The picture; `rows` of None gives every part a row of its own."""
    columns = [_departments(health), _datasets(health), _entities(health), _views(health), _subscribers(health)]
    links = _links(health)
    if rows is not None:
        placed: dict[str, str] = {}
        columns = [_fold(column, rows, placed) for column in columns]
        links = _merge(links, placed)
    ordered = _ordered(columns, links)
    return Flow(tuple(ordered), tuple(_edges(left, right, links) for left, right in pairwise(ordered)))


# --- nodes ------------------------------------------------------------------------------------------------------------


def node_id(kind: str, name: str) -> str:
    """A node's id on the page: names are the catalogue's, `kind` keeps those of two columns apart."""
    return f"{kind}-{name}"


def _departments(health: BusHealth) -> list[Node]:
    return [
        Node(
            id=node_id("department", each.name), kind="department", name=each.name, title=each.title, part=each,
            rate=each.rate, freshness_seconds=each.freshness_seconds, open_rejects=each.open_rejects,
        )
        for each in health.departments
        if each.datasets
    ]  # fmt: skip


def _datasets(health: BusHealth) -> list[Node]:
    return [
        Node(
            id=node_id("dataset", each.name), kind="dataset", name=each.name, title=each.title, part=each,
            rate=each.rate, freshness_seconds=each.freshness_seconds, waiting=each.lag, open_rejects=each.open_rejects,
        )
        for each in health.datasets
    ]  # fmt: skip


def _entities(health: BusHealth) -> list[Node]:
    return [
        Node(
            id=node_id("entity", each.name), kind="entity", name=each.name, title=each.title, part=each,
            rate=each.rate, freshness_seconds=each.freshness_seconds, waiting=each.lag,
        )
        for each in health.entities
    ]  # fmt: skip


def _views(health: BusHealth) -> list[Node]:
    return [
        Node(
            id=node_id("view", each.topic), kind="view", name=f"{each.name}.v{each.revision}", title=each.title,
            part=each, rate=each.rate, freshness_seconds=each.freshness_seconds, waiting=each.lag, filled=each.filled,
        )
        for each in health.views
    ]  # fmt: skip


def _subscribers(health: BusHealth) -> list[Node]:
    return [
        Node(
            id=node_id("subscriber", each.name), kind="subscriber", name=each.name, title=each.title, part=each,
            rate=_received(each), waiting=_behind(each),
        )
        for each in health.subscribers
    ]  # fmt: skip


def _received(subscriber: SubscriberHealth) -> float | None:
    seen = [each.rate for each in subscriber.subscriptions if each.lag is not None]
    return sum(seen) if seen else None


def _behind(subscriber: SubscriberHealth) -> int | None:
    seen = [each.lag for each in subscriber.subscriptions if each.lag is not None]
    return sum(seen) if seen else None


def _links(health: BusHealth) -> list[Link]:
    links = []
    for dataset in health.datasets:
        this = node_id("dataset", dataset.name)
        links.append(_link(node_id("department", dataset.department), this, dataset))
        links += [_link(this, node_id("entity", entity), dataset) for entity in dataset.entities]
    for view in health.views:
        this = node_id("view", view.topic)
        links.append(Link(source=node_id("entity", view.entity), target=this, verdict=view.verdict, rate=view.rate))
    for subscriber in health.subscribers:
        links += [
            Link(
                source=node_id("view", each.view),
                target=node_id("subscriber", subscriber.name),
                verdict=each.verdict,
                rate=each.rate if each.lag is not None else None,
            )
            for each in subscriber.subscriptions
        ]
    return links


def _link(source: str, target: str, dataset: DatasetHealth) -> Link:
    return Link(source=source, target=target, verdict=dataset.verdict, rate=dataset.rate)


# --- folding and order ------------------------------------------------------------------------------------------------


def _fold(column: Sequence[Node], rows: int, placed: dict[str, str]) -> list[Node]:
    """At most `rows` nodes; `placed` learns which node shares which row."""
    if len(column) <= rows:
        return list(column)
    ranked = sorted(column, key=lambda node: (-node.part.verdict.severity, -(node.rate or 0.0)))
    own = {node.id for node in ranked[: rows - 1]}
    others = [node for node in column if node.id not in own]
    shared = _shared(others)
    placed.update((node.id, shared.id) for node in others)
    return [*(node for node in column if node.id in own), shared]


def _shared(nodes: Sequence[Node]) -> Node:
    ages = [node.freshness_seconds for node in nodes if node.freshness_seconds is not None]
    waits = [node.waiting for node in nodes if node.waiting is not None]
    rates = [node.rate for node in nodes if node.rate is not None]
    kind = nodes[0].kind
    return Node(
        id=node_id("others", kind),
        kind=kind,
        name="",
        title="",
        part=max((node.part for node in nodes), key=lambda part: part.verdict.severity),
        rate=sum(rates) if rates else None,
        freshness_seconds=max(ages, default=None),
        waiting=sum(waits) if waits else None,
        open_rejects=sum(node.open_rejects for node in nodes),
        filled=min(node.filled for node in nodes),
        shared_by=len(nodes),
    )


def _merge(links: Iterable[Link], placed: Mapping[str, str]) -> list[Link]:
    """One link between two rows: the sum of the rates, the worst of the verdicts."""
    merged: dict[tuple[str, str], Link] = {}
    for link in links:
        ends = (placed.get(link.source, link.source), placed.get(link.target, link.target))
        before = merged.get(ends)
        if before is None:
            merged[ends] = replace(link, source=ends[0], target=ends[1])
            continue
        rates = [rate for rate in (before.rate, link.rate) if rate is not None]
        merged[ends] = replace(
            before,
            rate=sum(rates) if rates else None,
            verdict=max(before.verdict, link.verdict, key=lambda verdict: verdict.severity),
        )
    return list(merged.values())


def _ordered(columns: Sequence[Sequence[Node]], links: Sequence[Link]) -> list[tuple[Node, ...]]:
    """Each node near those that feed it, so that few edges cross; a shared row comes last."""
    ordered = [tuple(columns[0])]
    for column in columns[1:]:
        places = {node.id: (row + 0.5) / len(ordered[-1]) for row, node in enumerate(ordered[-1])}
        feeders: dict[str, list[float]] = {}
        for link in links:
            if link.source in places:
                feeders.setdefault(link.target, []).append(places[link.source])
        middle = {target: fmean(found) for target, found in feeders.items()}
        ordered.append(tuple(sorted(column, key=lambda node: (node.shared_by > 0, middle.get(node.id, 1.0)))))
    return ordered


# --- edges ------------------------------------------------------------------------------------------------------------


def _edges(left: Sequence[Node], right: Sequence[Node], links: Iterable[Link]) -> tuple[Edge, ...]:
    starts, ends = _heights(left), _heights(right)
    found = [link for link in links if link.source in starts and link.target in ends]
    found.sort(key=lambda link: link.verdict.severity)  # what is wrong is drawn over what is well
    return tuple(
        Edge(link=link, path=_curve(starts[link.source], ends[link.target]), width=_width(link.rate), pace=_pace(link))
        for link in found
    )


def _heights(column: Sequence[Node]) -> dict[str, float]:
    return {node.id: (row + 0.5) / len(column) * HEIGHT for row, node in enumerate(column)}


def _curve(start: float, end: float) -> str:
    middle = HEIGHT / 2
    return f"M0 {start:.1f}C{middle:.0f} {start:.1f} {middle:.0f} {end:.1f} {HEIGHT:.0f} {end:.1f}"


def _width(rate: float | None) -> float:
    return round(min(_THINNEST + 1.6 * math.log10(1.0 + (rate or 0.0)), _THICKEST), 1)


def _pace(link: Link) -> str:
    if link.rate is None:
        return "unseen"
    if link.rate < 0.05:
        return "still"
    if link.rate < 10:
        return "slow"
    return "brisk" if link.rate < 1_000 else "fast"
