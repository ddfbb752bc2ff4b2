"""`bus demo`: the main job on this machine, end to end, with the proof."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from bus.commands.options import FiniteRange

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

SHOWN_REJECTS: Final = 12


@click.command(name="demo")
@click.option("--for", "duration", default="60s", show_default=True, help="How long the registers change: 30s, 5m.")
@click.option("--rate", default=500.0, show_default=True, type=FiniteRange(0.1), help="Transactions a second.")
@click.option("--rows", default=5_000, show_default=True, type=click.IntRange(10), help="People at the start.")
@click.option("--seed", default=320500, show_default=True, help="Of the synthetic people and their changes.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write the summary to this JSON file.")
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the broker's data and the log in this folder.",
)
def command(duration: str, rate: float, rows: int, seed: int, report: Path | None, keep: Path | None) -> None:
    """Show the main job: a city's registers to their subscribers, normalised, each change exactly once.

    Starts a real PostgreSQL with a population register of synthetic people, a real Kafka and the bus; drops dumps of
    enterprises (GB 18030) and of the national divisions (two real releases). A service portal (masked), a district
    (only its own) and the statistics bureau (no direct identifiers) subscribe. The registers change; then what each
    subscriber has is compared with what the registers themselves tell. Ends after the given time or Ctrl-C; exit code 0
    only if nothing is missing, extra, leaked, doubled or out of order.
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
    console.print(_views(told["views"]))
    console.print(_facts(told))
    console.print("[bold green]proven: the same" if told["proven"] else "[bold red]NOT proven: see above")


def _views(views: dict[str, Any]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title="枢纽 Shuniu · proof, by digest", title_justify="left", box=SIMPLE_HEAD, padding=0)
    counts = ("missing", "extra", "different", "leaked", "out_of_order", "doubled")
    for title in ("view", "rows", "events", "missing", "extra", "differ", "leaked", "order", "doubled"):
        table.add_column(title, justify="left" if title == "view" else "right", no_wrap=title == "view")
    for name, view in views.items():
        wrong = (f"[{'green' if not view[count] else 'bold red'}]{view[count]:,}" for count in counts)
        table.add_row(name, f"{view['rows']:,}", f"{view['events']:,}", *wrong)
    return table


def _facts(told: dict[str, Any]) -> Table:
    from rich.table import Table

    table = Table(show_header=False)
    register = told["register"]
    table.add_row("population register", f"{register['rows']:,} rows, {register['transactions']:,} transactions")
    dumps = told["dumps"]["enterprises"]
    table.add_row("dumps of enterprises", f"{dumps['dropped']} dropped, {dumps['refused']} refused: a code twice in it")
    for level, counted in told["dumps"]["divisions"].items():
        right = "as the two releases differ" if counted["published"] == counted["expected"] else "[bold red]WRONG"
        operations = ", ".join(f"{count:,} {name}" for name, count in counted["published"].items())
        table.add_row(f"second release: {level}", f"{operations}: {right}")
    latency = told["latency_ms"]
    table.add_row("source commit → portal", f"p50 {latency['p50']:.0f} ms, p99 {latency['p99']:.0f} ms")
    table.add_row("first event after", f"{told['seconds_to_first_event']:.1f} s")
    for reject in told["rejects"][:SHOWN_REJECTS]:
        what = f"{reject['field']} {reject['reason']}".strip()
        table.add_row(f"rejected: {reject['dataset']}", f"{reject['count']:,} × {what}")
    return table
