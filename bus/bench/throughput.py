"""A process through a backlog: records a second, CPU, memory."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bus.bench.processes import cpu_seconds, peak_megabytes
from bus.bench.watch import until
from bus.errors import BusError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bus.bench.processes import Measured
    from bus.bench.watch import Watch


class BacklogTooSmallError(BusError):
    """A scenario was through before its measuring could begin."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """One run through a backlog.

    Attributes:
        name: of the scenario.
        records: how many, from the first commit on.
        seconds: from the first commit to the last.
        worker_cpu, broker_cpu: CPU-seconds per million records; the broker's is not a number where it is not ours.
        peak_mb: largest resident size of the worker, MB.
    """

    name: str
    records: int
    seconds: float
    worker_cpu: float
    broker_cpu: float
    peak_mb: float

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / self.seconds


LEAST_SHARE: Final = 0.3
"""Of the backlog that must be left when measuring begins: what was not seen says nothing of the rest."""


async def drained(
    name: str, process: Measured, source: Watch, broker_cpu: Callable[[], float], rest: Callable[[], Awaitable[None]]
) -> Throughput:
    """What a process takes for its backlog; measured from its first commit on, so that its start does not count.

    Args:
        name: of the scenario.
        process: it, just started.
        source: its group in the topic of the backlog.
        broker_cpu: CPU-seconds of the broker so far.
        rest: waits until what comes after that group is through, too.

    Raises:
        BacklogTooSmallError: too little was left to measure then.
    """
    ends = await source.ends()
    begin = await source.committed()
    await until(lambda: _has_moved(process, source, begin))
    first = await source.committed()
    started, worker_cpu, its_cpu = time.monotonic(), cpu_seconds(process.pid), broker_cpu()
    await until(lambda: _is_through(process, source, ends))
    await rest()
    seconds = time.monotonic() - started
    worker_cpu, its_cpu = cpu_seconds(process.pid) - worker_cpu, broker_cpu() - its_cpu
    records = sum(ends.values()) - sum(first.values())
    see_that_enough_was_left(name, records, sum(ends.values()) - sum(begin.values()))
    return Throughput(
        name, records, seconds, worker_cpu * 1e6 / records, its_cpu * 1e6 / records, peak_megabytes(process.pid)
    )


def see_that_enough_was_left(name: str, records: int, whole: int) -> None:
    """See that of a whole backlog so many records were left when measuring began that they tell something.

    Raises:
        BacklogTooSmallError: they were too few.
    """
    if records < LEAST_SHARE * whole:
        gone = f"{name}: {whole - records:,} of {whole:,} records are through at once"
        raise BacklogTooSmallError(gone, fix="measure more: --records 200000")


async def _has_moved(process: Measured, source: Watch, begin: dict[object, int]) -> bool:
    return process.lives() and await source.committed() != begin


async def _is_through(process: Measured, source: Watch, ends: dict[object, int]) -> bool:
    return process.lives() and await source.is_through(ends)
