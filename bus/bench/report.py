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
from bus.bench.scenario import Latency, Throughput

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(slots=True)
class Results:
    """All runs, and the machine that they ran on."""

    machine: dict[str, Any]
    records: int
    throughput: list[Throughput] = field(default_factory=list)
    latency: list[Latency] = field(default_factory=list)

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

    def add(self, run: Throughput | Latency) -> None:
        """Take a run in, and tell it, so that a long bench shows life."""
        console = Console(stderr=True)
        if isinstance(run, Throughput):
            self.throughput.append(run)
            told = f"{run.rate:,.0f} records/s, {run.worker_cpu:.1f} CPU-s per million"
        else:
            self.latency.append(run)
            told = f"p50 {run.p50:.0f} ms, p99 {run.p99:.0f} ms"
        console.print(f"{run.name}: {told}", style="dim")

    def as_json(self) -> dict[str, Any]:
        """All runs as plain values."""
        return {
            "machine": self.machine,
            "throughput": [asdict(run) | {"records_per_second": run.rate} for run in self.throughput],
            "latency": [asdict(run) for run in self.latency],
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
    console.print(", ".join(f"{name} {value}" for name, value in results.machine.items()), style="dim")


def _throughput(runs: list[Throughput]) -> Table:
    table = Table(title="throughput: min / median / max", title_justify="left")
    for title in ("scenario", "records/s", "worker CPU-s per million", "broker CPU-s per million", "peak MB"):
        table.add_column(title, justify="left" if title == "scenario" else "right")
    for name, group in _by_name(runs).items():
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
    for name, group in _by_name(runs).items():
        table.add_row(
            name,
            spread((run.p50 for run in group), 0),
            spread((run.p99 for run in group), 0),
            spread((run.events for run in group), 0),
        )
    return table


def _by_name(runs: Iterable[Any]) -> dict[str, list[Any]]:
    named: dict[str, list[Any]] = defaultdict(list)
    for run in runs:
        named[run.name].append(run)
    return named
