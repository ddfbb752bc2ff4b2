"""The bench's results: every run, with min / median / max, as a table and as JSON."""

from __future__ import annotations

import os
import platform
import statistics
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.table import Table

from bus import __version__
from bus.bench.quiet import Quiet
from bus.bench.scenario import Latency, Throughput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bus.bench.dumps import Dumped


@dataclass(slots=True)
class Results:
    """All runs, and the machine that they ran on."""

    machine: dict[str, Any]
    records: int
    throughput: list[Throughput] = field(default_factory=list)
    latency: list[Latency] = field(default_factory=list)
    dumps: list[Dumped] = field(default_factory=list)
    quiet: list[Quiet] = field(default_factory=list)

    @classmethod
    def of_this_machine(cls, records: int) -> Self:
        """Nothing measured yet."""
        machine = {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
            "shuniu": __version__,
            "broker": "embedded Apache Kafka 4.3.1, same machine",
            "records": "headers on, CRC checked, no compression, exactly once",
        }
        return cls(machine, records)

    def add(self, run: Throughput | Latency | Dumped | Quiet) -> None:
        """Take a run in, and tell it, so that a long bench shows life."""
        if isinstance(run, Throughput):
            self.throughput.append(run)
            told = f"{run.name}: {run.rate:,.0f} records/s, {run.worker_cpu:.1f} CPU-s per million"
        elif isinstance(run, Latency):
            self.latency.append(run)
            told = f"{run.name}: p50 {run.p50:.0f} ms, p99 {run.p99:.0f} ms"
        elif isinstance(run, Quiet):
            self.quiet.append(run)
            told = f"{run.datasets} quiet datasets: {run.worker_cores:.2f} cores, p99 {run.p99:.0f} ms"
        else:
            self.dumps.append(run)
            told = (
                f"{run.rows:,} rows: compared in {run.compared:.1f} s, {run.changes:,} changes in {run.published:.1f} s"
            )
        Console(stderr=True).print(told, style="dim")

    def as_json(self) -> dict[str, Any]:
        """All runs as plain values."""
        return {
            "machine": self.machine,
            "throughput": [asdict(run) | {"records_per_second": run.rate} for run in self.throughput],
            "latency": [asdict(run) for run in self.latency],
            "dumps": [asdict(run) for run in self.dumps],
            "quiet": [asdict(run) for run in self.quiet],
        }


def spread(values: Iterable[float], digits: int = 1) -> str:
    """`min / median / max`."""
    found = sorted(values)
    return " / ".join(f"{value:,.{digits}f}" for value in (found[0], statistics.median(found), found[-1]))


def print_results(results: Results) -> None:
    """The tables."""
    console = Console()
    if results.throughput:
        console.print(_throughput(results.throughput))
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


def _latency(runs: list[Latency]) -> Table:
    table = Table(title="latency at a steady rate: min / median / max", title_justify="left")
    for title in ("scenario", "p50 ms", "p99 ms", "events"):
        table.add_column(title, justify="left" if title == "scenario" else "right")
    for name, group in _by(lambda run: run.name, runs).items():
        table.add_row(
            name,
            spread((run.p50 for run in group), 0),
            spread((run.p99 for run in group), 0),
            spread((run.events for run in group), 0),
        )
    return table


def _quiet(runs: list[Quiet]) -> Table:
    table = Table(title="quiet datasets, an event a second each: min / median / max", title_justify="left")
    for title in ("datasets", "worker cores", "broker cores", "p50 ms", "p99 ms", "peak MB", "warm-up s"):
        table.add_column(title, justify="right")
    for datasets, group in _by(lambda run: run.datasets, runs).items():
        table.add_row(
            str(datasets),
            spread((run.worker_cores for run in group), 2),
            spread((run.broker_cores for run in group), 2),
            spread((run.p50 for run in group), 0),
            spread((run.p99 for run in group), 0),
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
