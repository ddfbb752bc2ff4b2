"""The demo's live screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Group
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bus.demo.city import DATASETS
from bus.demo.subscriber import percentile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from bus.demo.observer import Observer
    from bus.demo.subscriber import DemoSubscriber

NEWEST = 5_000
REASONS = 7


@dataclass(frozen=True, slots=True)
class Scene:
    """What the screen shows."""

    observer: Observer
    subscribers: Sequence[DemoSubscriber]
    url: str

    @property
    def portal(self) -> DemoSubscriber:
        """The subscriber whose latency is told: people, masked, for the portal."""
        return self.subscribers[0]

    @property
    def received(self) -> int:
        """Records that reached subscribers."""
        return sum(subscriber.received for subscriber in self.subscribers)


def draw(scene: Scene, elapsed: float, planned: float, phase: str) -> RenderableType:
    """One frame.

    Args:
        scene: what there is to show.
        elapsed: seconds since the first change.
        planned: seconds that the writers are to run.
        phase: what is going on, in a few words.
    """
    clock = Table.grid(expand=True, padding=(0, 1))
    clock.add_column()
    clock.add_column(ratio=1)
    clock.add_column(justify="right")
    bar = ProgressBar(total=max(planned, 1.0), completed=min(elapsed, planned))
    clock.add_row(Text(phase, style="bold"), bar, f"{elapsed:.0f} / {planned:.0f} s")
    latencies = scene.portal.latencies[-NEWEST:]
    told = Text(
        f"{scene.observer.rate():,.0f} changes/s; source commit → portal:"
        f" p50 {_milliseconds(latencies, 0.50)}, p99 {_milliseconds(latencies, 0.99)}",
        style="bold cyan",
    )
    flow = Table.grid(expand=True, padding=(0, 2))
    flow.add_column(ratio=1)
    flow.add_column(ratio=1)
    flow.add_row(_sources(scene.observer), _subscribers(scene))
    parts: list[RenderableType] = [clock, told, Text(), flow, Text(), _rejects(scene.observer)]
    return Panel(Group(*parts), title="枢纽 Shuniu · demo", subtitle=scene.url, border_style="cyan")


def _milliseconds(latencies: list[float], share: float) -> str:
    return f"{percentile(latencies, share) * 1000:,.0f} ms" if latencies else "–"


def _table(*titles: str) -> Table:
    table = Table(expand=True, box=None, header_style="dim")
    for number, title in enumerate(titles):
        table.add_column(title, justify="right" if number else "left", ratio=None if number else 1, no_wrap=True)
    return table


def _sources(observer: Observer) -> Table:
    table = _table("departments", "changes", "rejected")
    for dataset, title in DATASETS.items():
        rejected = observer.rejected[dataset]
        table.add_row(title, f"{observer.raw[dataset]:,}", f"[yellow]{rejected:,}" if rejected else "0")
    return table


def _subscribers(scene: Scene) -> Table:
    table = _table("subscribers", "received", "rows now")
    for subscriber in scene.subscribers:
        table.add_row(subscriber.view.title, f"{subscriber.received:,}", f"{len(subscriber.state):,}")
    return table


def _rejects(observer: Observer) -> Table:
    table = _table("rejects: dataset, field, reason", "count")
    for (dataset, field, reason), count in observer.reasons.most_common(REASONS):
        table.add_row(f"{dataset} {field}: {reason}", f"{count:,}")
    return table
