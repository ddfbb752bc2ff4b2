"""The bench's results: every run, with min / median / max, as a table and as JSON."""

from __future__ import annotations

import datetime as dt
import json
import statistics
from collections import defaultdict
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from bus.bench.dumps import Dumped
    from bus.bench.run import Wish


PAPER_COLUMNS: Final = 160
"""Of tables that go to a file or to another program."""


@dataclass(slots=True)
class Results:
    """All runs, the machine that they ran on, and what was asked for."""

    machine: dict[str, Any]
    asked: dict[str, Any]
    began: str
    throughput: list[Throughput] = field(default_factory=list)
    latency: list[Latency] = field(default_factory=list)
    dumps: list[Dumped] = field(default_factory=list)
    quiet: list[Quiet] = field(default_factory=list)
    codec: list[Codec] = field(default_factory=list)

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
    if results.codec:
        console.print(_codec(results.codec))
    if results.throughput:
        console.print(_throughput(results.throughput))
    if found := ratios(results.throughput):
        console.print(_ratios(found))
    if results.latency:
        console.print(_latency(results.latency))
    if results.dumps:
        console.print(_dumps(results.dumps))
    if results.quiet:
        console.print(_quiet(results.quiet))
    console.print(", ".join(f"{name} {value}" for name, value in results.machine.items()), style="dim")


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
