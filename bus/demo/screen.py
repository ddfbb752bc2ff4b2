"""The demo's live screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Group
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bus.demo.portal import percentile

if TYPE_CHECKING:
    from rich.console import RenderableType

    from bus.demo.observer import Observer
    from bus.demo.portal import Portal
    from bus.demo.register import Register


@dataclass(frozen=True, slots=True)
class Scene:
    """What the screen shows."""

    register: Register
    observer: Observer
    portal: Portal


def draw(scene: Scene, elapsed: float, planned: float, phase: str) -> RenderableType:
    """One frame.

    Args:
        scene: what there is to show.
        elapsed: seconds since the first change.
        planned: seconds that the writer is to run.
        phase: what is going on, in a few words.
    """
    clock = Table.grid(expand=True, padding=(0, 1))
    clock.add_column()
    clock.add_column(ratio=1)
    clock.add_column(justify="right")
    bar = ProgressBar(total=max(planned, 1.0), completed=min(elapsed, planned))
    clock.add_row(Text(phase, style="bold"), bar, f"{elapsed:.0f} / {planned:.0f} s")
    return Panel(
        Group(clock, Text(), _flow(scene), Text(), _rejects(scene)), title="枢纽 Shuniu · demo", border_style="cyan"
    )


def _flow(scene: Scene) -> Table:
    counts, portal = scene.observer.counts, scene.portal
    table = Table(expand=True, box=None, header_style="dim")
    for title in ("公安局 register", "raw", "shared", "portal view", "rejected", "changes/s", "p50", "p99"):
        table.add_column(title, justify="right")
    table.add_row(
        f"{scene.register.changes:,}",
        f"{counts['raw']:,}",
        f"{counts['shared']:,}",
        f"{portal.received:,}",
        f"{counts['rejected']:,}",
        f"{scene.observer.rate():,.0f}",
        f"{percentile(portal.latencies[-5000:], 0.50) * 1000:,.0f} ms",
        f"{percentile(portal.latencies[-5000:], 0.99) * 1000:,.0f} ms",
        style="bold",
    )
    return table


def _rejects(scene: Scene) -> Table:
    table = Table(expand=True, box=None, header_style="dim", title="rejects, by reason", title_justify="left")
    table.add_column("field")
    table.add_column("reason", ratio=1)
    table.add_column("count", justify="right")
    for (field, reason), count in scene.observer.rejects.most_common(9):
        table.add_row(field, reason, f"{count:,}")
    return table
