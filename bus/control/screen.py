"""The picture of the bus on a terminal: verdict first, then what to do, then the flow from left to right."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final, TypeVar

from rich.console import Group
from rich.table import Table
from rich.text import Text

from bus.control.health import Judged, Verdict
from bus.control.verdict import counted, span

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

    from bus.control.health import BusHealth, LatestReject

PartT = TypeVar("PartT", bound=Judged)

STYLES: Final = {
    Verdict.OK: "green",
    Verdict.PAUSED: "cyan",
    Verdict.STALE: "yellow",
    Verdict.STALLED: "bold red",
    Verdict.FAILED: "bold white on red",
}
REJECTS: Final = 8


def draw(health: BusHealth, trouble: str = "") -> RenderableType:
    """One frame.

    Args:
        health: what there is to show.
        trouble: why it is not newer, if it is not.
    """
    parts: list[RenderableType] = [_head(health, trouble)]
    if to_do := _to_do(health):
        parts += [Text(), to_do]
    parts += [Text(), _workers(health), Text(), _adapters(health), Text(), _datasets(health), Text(), _views(health)]
    parts += [Text(), _subscribers(health)]
    if health.rejects:
        parts += [Text(), _rejects(health.rejects)]
    return Group(*parts)


def duration(seconds: float | None) -> str:
    """`now`, `0.4 s`, `12 s`, `4 min`; `?` for what is not known."""
    if seconds is None:
        return "?"
    return f"{seconds:.1f} s" if seconds < 10 else span(seconds)


def _head(health: BusHealth, trouble: str) -> Text:
    moment = dt.datetime.fromtimestamp(health.time, dt.UTC).astimezone()
    text = Text()
    text.append(f" {health.verdict} ", STYLES[health.verdict])
    counts = ", ".join(
        counted(len(parts), noun)
        for parts, noun in ((health.datasets, "dataset"), (health.views, "view"), (health.subscribers, "subscriber"))
    )
    text.append(f"  bus {health.bus_id}: {counts}; {moment:%H:%M:%S}")
    if trouble:
        text.append(f"\n {trouble}", "bold red")
    return text


def _to_do(health: BusHealth) -> RenderableType | None:
    """Each cause once, the worst first, with what to do."""
    table = Table.grid(padding=(0, 1))
    seen: set[str] = set()
    for part in sorted((health, *health.parts), key=lambda part: -part.verdict.severity):
        if not part.ok and part.cause not in seen:
            seen.add(part.cause)
            told = Text(part.cause)
            if part.action:
                told.append(f"\n→ {part.action}", "bold")
            table.add_row(_verdict(part), told)
    return table if seen else None


def _verdict(part: Judged) -> Text:
    return Text(part.verdict, STYLES[part.verdict])


def _worst_first(parts: Iterable[PartT]) -> list[PartT]:
    """A screen may be too short for all: what needs somebody stands first, the others in their order."""
    return sorted(parts, key=lambda part: -part.verdict.severity)


def _table(*columns: str, first: int = 2) -> Table:
    """A table whose first columns are texts, and the others numbers."""
    table = Table(box=None, header_style="dim", pad_edge=False, expand=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number < first else "right", no_wrap=number < first)
    return table


def _workers(health: BusHealth) -> Table:
    table = _table("", "worker", "state", "lanes", "records", "rejects", "heard", first=3)
    for each in _worst_first(health.workers):
        heard = duration(None if each.heard is None else max(0.0, health.time - each.heard))
        lanes = f"{len(each.lanes)}"
        table.add_row(_verdict(each), each.name, each.state, lanes, f"{each.records:,}", f"{each.rejects:,}", heard)
    if not health.workers:
        table.add_row(Text(Verdict.STALLED, STYLES[Verdict.STALLED]), "none", "", "", "", "", "")
    return table


def _adapters(health: BusHealth) -> Table:
    table = _table("", "adapter", "kind", "state", "changes", "pending", "heard", first=4)
    for each in _worst_first(health.adapters):
        heard = duration(None if each.heard is None else max(0.0, health.time - each.heard))
        row = (each.name, each.kind, each.state or "unknown", f"{each.changes:,}", f"{each.pending:,}", heard)
        table.add_row(_verdict(each), *row)
    return table


def _datasets(health: BusHealth) -> Table:
    table = _table("", "dataset", "per s", "lag", "freshness", "promised", "latency", "rejects")
    for each in _worst_first(health.datasets):
        table.add_row(
            _verdict(each),
            each.name,
            f"{each.rate:,.1f}",
            f"{each.lag:,}",
            duration(each.freshness_seconds),
            span(each.promise_seconds),
            duration(each.latency_seconds),
            f"{each.open_rejects:,}",
        )
    return table


def _views(health: BusHealth) -> Table:
    table = _table("", "view", "per s", "lag", "freshness", "promised", "latency", "filled")
    for each in _worst_first(health.views):
        table.add_row(
            _verdict(each),
            each.topic,
            f"{each.rate:,.1f}",
            f"{each.lag:,}",
            duration(each.freshness_seconds),
            span(each.promise_seconds),
            duration(each.latency_seconds),
            f"{each.filled:.0%}",
        )
    return table


def _subscribers(health: BusHealth) -> Table:
    table = _table("", "subscriber", "view", "group", "lag", "per s", first=4)
    for each in _worst_first(each for subscriber in health.subscribers for each in subscriber.subscriptions):
        lag = "ended" if each.code == "subscription-ended" else "not seen" if each.lag is None else f"{each.lag:,}"
        table.add_row(_verdict(each), each.subscriber, each.view, each.group, lag, f"{each.rate:,.1f}")
    return table


def _rejects(rejects: Iterable[LatestReject]) -> Table:
    table = _table("latest rejects", "dataset", "rule", "field", "reason", first=4)
    table.columns[4].justify = "left"
    for each in list(rejects)[:REJECTS]:
        moment = dt.datetime.fromtimestamp(each.time, dt.UTC).astimezone()
        table.add_row(f"{moment:%m-%d %H:%M:%S}", each.dataset, each.rule, each.field, each.reason)
    return table
