"""The progress bar of the first download: on a terminal only."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bus.kafka.jars import Progress


@contextlib.contextmanager
def download_bar() -> Iterator[Callable[[Progress], None] | None]:
    """Gives what `on_progress` wants; None if standard error is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415  (only needed on a terminal)
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415

    columns = (TextColumn("Apache Kafka, first download"), BarColumn(), TextColumn("{task.fields[size]:.0f} MB"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, visible=False, size=0.0)
        yield lambda now: bar.update(task, visible=True, completed=now.jars, total=now.total, size=now.size / 1_000_000)
