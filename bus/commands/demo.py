"""`bus demo`: the main job on this machine, end to end, with the proof."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console


@click.command(name="demo")
@click.option("--for", "duration", default="60s", show_default=True, help="How long the register is changed: 30s, 5m.")
@click.option("--rate", default=500.0, show_default=True, type=click.FloatRange(0.1), help="Transactions a second.")
@click.option("--rows", default=5_000, show_default=True, type=click.IntRange(10), help="People at the start.")
@click.option("--seed", default=320500, show_default=True, help="Of the synthetic people and their changes.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write the summary to this JSON file.")
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the broker's data and the log in this folder.",
)
def command(duration: str, rate: float, rows: int, seed: int, report: Path | None, keep: Path | None) -> None:
    """Show the main job: a department's database to a subscriber, normalised, each change exactly once.

    Starts a real PostgreSQL with a population register of synthetic people, a real Kafka, the bus, and a portal that
    subscribes to masked records; changes the register; then compares what the portal has with the register's own
    journal. Ends after the given time or Ctrl-C; exit code 0 only if nothing is missing, extra, leaked or out of order.
    """
    from rich.console import Console

    seconds = _seconds(duration)
    _check_report(report)
    console = Console()
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
    with nullcontext(str(keep)) if keep else tempfile.TemporaryDirectory(prefix="shuniu-demo-") as folder:
        told = _run(seconds, rate, rows, seed, Path(folder), console)
    if report is not None:
        report.write_text(json.dumps(told, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    _summarise(told, console)
    sys.exit(0 if told["proven"] else 1)


def _seconds(duration: str) -> float:
    from pydantic import TypeAdapter, ValidationError

    from bus.catalogue.duration import Duration, milliseconds
    from bus.errors import WrongUseError

    try:
        return milliseconds(TypeAdapter[str](Duration).validate_python(duration)) / 1000
    except ValidationError:
        raise WrongUseError(f"--for {duration}: not a duration", fix="30s, 5m, 1h") from None


def _check_report(report: Path | None) -> None:
    from bus.errors import WrongUseError

    if report is not None and not report.absolute().parent.is_dir():
        raise WrongUseError(f"--report {report}: there is no such folder", fix="make it, or name another file")


def _run(seconds: float, rate: float, rows: int, seed: int, folder: Path, console: Console) -> dict[str, Any]:
    from bus.errors import WrongUseError

    try:
        from bus.demo.run import Demo, Wish
    except ImportError as error:
        raise WrongUseError(f"the demo needs {error.name}", fix="pip install 'shuniu[demo]'") from None
    return asyncio.run(Demo(Wish(seconds, rate, rows, seed), folder, console).run())


def _summarise(told: dict[str, Any], console: Console) -> None:
    from rich.table import Table

    portal = told["portal"]
    table = Table(title="枢纽 Shuniu · proof", show_header=False, title_justify="left")
    table.add_row("rows at the source", f"{told['register']['rows']:,}")
    table.add_row("rows at the subscriber", f"{portal['rows']:,} (the others are rejects, below)")
    for name in ("missing", "extra", "different", "leaked", "out_of_order", "doubled"):
        count = portal[name]
        table.add_row(name.replace("_", " "), f"[{'green' if not count else 'bold red'}]{count:,}")
    table.add_row("digest at the source", portal["expected"])
    table.add_row("digest at the subscriber", portal["received"])
    events = told["events"]
    stages = ("raw", "shared", "portal", "rejected")
    table.add_row("events", ", ".join(f"{name} {events.get(name, 0):,}" for name in stages))
    latency = told["latency_ms"]
    table.add_row("source commit → subscriber", f"p50 {latency['p50']:.0f} ms, p99 {latency['p99']:.0f} ms")
    table.add_row("first event after", f"{told['seconds_to_first_event']:.1f} s")
    for reject in told["rejects"][:12]:
        table.add_row(f"rejected: {reject['field']}", f"{reject['count']:,} × {reject['reason']}")
    console.print(table)
    console.print("[bold green]proven: the same" if told["proven"] else "[bold red]NOT proven: see above")
