"""The bench's results: every run, with min / median / max, as a table and as JSON."""

from __future__ import annotations

import datetime as dt
import json
import statistics
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from rich.console import Console
from rich.table import Table

from bus.bench.codec import Codec
from bus.bench.latency import Latency
from bus.bench.machine import notes
from bus.bench.quiet import Quiet
from bus.bench.ratios import Ratio, ratios
from bus.bench.throughput import Throughput
from bus.errors import BusError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from bus.bench.dumps import Dumped
    from bus.bench.run import Wish


STEADY_SECONDS: Final = 2.0
"""Below that the figures of a run say little."""

PAPER_COLUMNS: Final = 160
"""Of tables that go to a file or to another program."""


@dataclass(slots=True)
class Results:
    """All runs, the machine that they ran on, and what was asked for.

    Attributes:
        failed: scenarios that did not come to their end, and why.
        interrupted: name of the signal that ended the bench before it was through.
    """

    machine: dict[str, Any]
    asked: dict[str, Any]
    began: str
    throughput: list[Throughput] = field(default_factory=list)
    latency: list[Latency] = field(default_factory=list)
    dumps: list[Dumped] = field(default_factory=list)
    quiet: list[Quiet] = field(default_factory=list)
    codec: list[Codec] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    interrupted: str = ""

    @classmethod
    def of_this_machine(cls, wish: Wish) -> Self:
        """Nothing measured yet."""
        return cls(notes(), asdict(wish), dt.datetime.now(dt.UTC).isoformat(timespec="seconds"))

    def add(self, run: Throughput | Latency | Dumped | Quiet | Codec) -> None:
        """Take a run in, and tell it, so that a long bench shows life."""
        if isinstance(run, Throughput):
            self.throughput.append(run)
            told = f"{run.name}: {run.rate:,.0f} records/s, {run.worker_cpu:.1f} CPU-s per million"
        elif isinstance(run, Latency):
            self.latency.append(run)
            told = f"{run.name}: p50 {run.p50:.0f} ms, p99 {run.p99:.0f} ms, p99.9 {run.p999:.0f} ms"
        elif isinstance(run, Quiet):
            self.quiet.append(run)
            told = f"{run.datasets} quiet datasets: {run.worker_cores:.2f} cores, p99 {run.p99:.0f} ms"
        elif isinstance(run, Codec):
            self.codec.append(run)
            told = f"{run.name}: {run.compiled:.2f} µs a record, by the reference {run.reference:.1f} µs"
        else:
            self.dumps.append(run)
            told = (
                f"{run.rows:,} rows: compared in {run.compared:.1f} s, {run.changes:,} changes in {run.published:.1f} s"
            )
        Console(stderr=True).print(told, style="dim")

    @contextmanager
    def attempt(self, scenario: str) -> Iterator[None]:
        """Run a scenario; that it fails is told, and no reason to lose the others."""
        try:
            yield
        except (BusError, TimeoutError) as error:
            why = f"{error or 'it did not come to its end in time'}"
            self.failed.append(f"{scenario}: {why}")
            Console(stderr=True).print(f"failed: {scenario}: {why}", style="red", highlight=False)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was measured."""
        return not (self.codec or self.throughput or self.latency or self.dumps or self.quiet)

    def as_json(self) -> dict[str, Any]:
        """All runs as plain values."""
        return {
            "began": self.began,
            "machine": self.machine,
            "asked": self.asked,
            "throughput": [asdict(run) | {"records_per_second": run.rate} for run in self.throughput],
            "ratios": [asdict(ratio) for ratio in ratios(self.throughput)],
            "latency": [asdict(run) for run in self.latency],
            "dumps": [asdict(run) for run in self.dumps],
            "quiet": [asdict(run) for run in self.quiet],
            "codec": [asdict(run) | {"ratio": run.ratio} for run in self.codec],
            "failed": self.failed,
            "interrupted": self.interrupted,
        }

    def save(self, folder: Path) -> Path:
        """Keep all runs in a folder, as a file that is named after the time at which they began."""
        folder.mkdir(parents=True, exist_ok=True)
        return self.write(folder / f"{self.began[:16].replace(':', '')}Z.json")

    def write(self, file: Path) -> Path:
        """Keep all runs in a file."""
        file.write_text(json.dumps(self.as_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return file


def spread(values: Iterable[float], digits: int = 1) -> str:
    """`min / median / max`; of a single value, that."""
    found = sorted(values)
    if len(found) == 1:
        return f"{found[0]:,.{digits}f}"
    return " / ".join(f"{value:,.{digits}f}" for value in (found[0], statistics.median(found), found[-1]))


def print_results(results: Results) -> None:
    """The tables."""
    console = Console()
    if not console.is_terminal:
        console.width = PAPER_COLUMNS
    for table in _tables(results):
        console.print(table)
    console.print(", ".join(f"{name} {value}" for name, value in results.machine.items()), style="dim")
    for failed in results.failed:
        console.print(f"failed: {failed}", style="red", highlight=False)
    if results.interrupted:
        console.print(f"interrupted by {results.interrupted}: this is what was measured until then", style="red")


def _tables(results: Results) -> Iterator[Table | str]:
    """Those that have a row, and what is to be said under them."""
    if results.codec:
        yield _codec(results.codec)
    if results.throughput:
        yield _throughput(results.throughput)
        yield from _too_short(results.throughput)
    if found := ratios(results.throughput):
        yield _ratios(found)
    if results.latency:
        yield _latency(results.latency)
    if results.dumps:
        yield _dumps(results.dumps)
    if results.quiet:
        yield _quiet(results.quiet)


def _throughput(runs: list[Throughput]) -> Table:
    table = Table(title="throughput: min / median / max", title_justify="left")
    for title in ("scenario", "records/s", "worker CPU-s per million", "broker CPU-s per million", "peak MB"):
        table.add_column(title, justify="left" if title == "scenario" else "right")
    for name, group in _by(lambda run: run.name, runs).items():
        table.add_row(
            name,
            spread((run.rate for run in group), 0),
            spread(run.worker_cpu for run in group),
            spread(run.broker_cpu for run in group),
            spread((run.peak_mb for run in group), 0),
        )
    return table


def _too_short(runs: list[Throughput]) -> Iterator[str]:
    """What to say of runs that were over too soon."""
    if short := [run for run in runs if run.seconds < STEADY_SECONDS]:
        least, names = min(run.seconds for run in short), ", ".join(dict.fromkeys(run.name for run in short))
        yield f"measured for {least:.1f} s only: more --records give steadier figures ({names})"


def _codec(runs: list[Codec]) -> Table:
    table = Table(title="the codec alone: min / median / max", title_justify="left")
    for title in ("scenario", "compiled, µs a record", "reference, µs a record", "times as fast"):
        table.add_column(title, justify="left" if title == "scenario" else "right")
    for name, group in _by(lambda run: run.name, runs).items():
        table.add_row(
            name,
            spread((run.compiled for run in group), 2),
            spread(run.reference for run in group),
            spread(run.ratio for run in group),
        )
    return table


def _ratios(found: list[Ratio]) -> Table:
    table = Table(title="ratios, turn by turn: min / median / max", title_justify="left")
    for title in ("scenario", "to", "records/s", "worker CPU"):
        table.add_column(title, justify="left" if title in {"scenario", "to"} else "right")
    for ratio in found:
        table.add_row(ratio.of, ratio.to, spread(ratio.rate, 2), spread(ratio.worker_cpu, 2))
    return table


def _latency(runs: list[Latency]) -> Table:
    table = Table(title="latency at a steady rate: min / median / max", title_justify="left")
    for title in ("scenario", "events/s", "p50 ms", "p99 ms", "p99.9 ms", "events"):
        table.add_column(title, justify="left" if title == "scenario" else "right")
    for (name, rate), group in _by(lambda run: (run.name, run.rate), runs).items():
        table.add_row(
            name,
            f"{rate:,.0f}",
            spread((run.p50 for run in group), 0),
            spread((run.p99 for run in group), 0),
            spread((run.p999 for run in group), 0),
            spread((run.events for run in group), 0),
        )
    return table


def _quiet(runs: list[Quiet]) -> Table:
    table = Table(title="quiet datasets, an event a second each: min / median / max", title_justify="left")
    for title in ("datasets", "worker cores", "broker cores", "p50 ms", "p99 ms", "p99.9 ms", "peak MB", "warm-up s"):
        table.add_column(title, justify="right")
    for datasets, group in _by(lambda run: run.datasets, runs).items():
        table.add_row(
            str(datasets),
            spread((run.worker_cores for run in group), 2),
            spread((run.broker_cores for run in group), 2),
            spread((run.p50 for run in group), 0),
            spread((run.p99 for run in group), 0),
            spread((run.p999 for run in group), 0),
            spread((run.peak_mb for run in group), 0),
            spread(run.warm_up for run in group),
        )
    return table


def _dumps(runs: list[Dumped]) -> Table:
    table = Table(title="a dump after another one: min / median / max", title_justify="left")
    for title in ("rows", "changed", "first dump s", "compared s", "changes in raw s", "peak MB"):
        table.add_column(title, justify="right")
    for (rows, changes), group in _by(lambda run: (run.rows, run.changes), runs).items():
        table.add_row(
            f"{rows:,}",
            f"{changes:,}",
            spread(run.first for run in group),
            spread(run.compared for run in group),
            spread(run.published for run in group),
            spread((run.peak_mb for run in group), 0),
        )
    return table


def _by(key: Callable[[Any], Any], runs: Iterable[Any]) -> dict[Any, list[Any]]:
    grouped: dict[Any, list[Any]] = defaultdict(list)
    for run in runs:
        grouped[key(run)].append(run)
    return grouped
