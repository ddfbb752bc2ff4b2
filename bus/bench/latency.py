"""How long a change is under way at a steady rate: from its `ce_time` to its reader."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bus import wire
from bus.bench.interruption import beside
from bus.errors import BusError
from bus.kafka import clients

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence

    from bus.config import Settings

QUIET_SECONDS: Final = 2.0

READ_SELDOM: Final = {"fetch_min_bytes": 1 << 20, "fetch_max_wait_ms": 100}
"""For a reader of many topics, whose requests name all of them: so that they do not load the broker. Up to 0.1 s of
what is measured is its own."""


class NothingArrivedError(BusError):
    """There is nothing of which one could say how long it was under way."""


@dataclass(frozen=True, slots=True)
class Latency:
    """One run: milliseconds from a record's `ce_time` to its reader.

    Attributes:
        name: of the scenario.
        rate: events a second that were asked for.
        events: how many were timed.
        p50, p99, p999: percentiles.
    """

    name: str
    rate: float
    events: int
    p50: float
    p99: float
    p999: float


def written_at(record: Any) -> float:
    """When a record's change was written, by its `ce_time`: seconds since 1970."""
    return wire.micros(dict(record.headers)["ce_time"].decode()) / 1e6


def percentiles(waits: Sequence[float]) -> tuple[float, float, float]:
    """p50, p99 and p99.9 of sorted seconds, milliseconds.

    Raises:
        NothingArrivedError: there are none.
    """
    if not waits:
        raise NothingArrivedError("no record came to its reader", fix="see that nothing else loads this machine")
    return 1000 * waits[len(waits) // 2], 1000 * waits[int(len(waits) * 0.99)], 1000 * waits[int(len(waits) * 0.999)]


async def arrivals(
    settings: Settings,
    topics: Iterable[str],
    writing: Coroutine[Any, Any, int],
    through: Callable[[], Awaitable[None]],
    **reading: int,
) -> list[float]:
    """Seconds that each record was under way to a reader of the topics, sorted, while something is written.

    Args:
        settings: the cluster.
        topics: at the end of the way.
        writing: what writes at its beginning.
        through: comes back when all that was written has come to the topics; called once the writing has ended.
        reading: settings of the reader.
    """
    reader = clients.consumer(settings.kafka, auto_offset_reset="latest", **reading)
    async with clients.started(reader, settings.kafka):
        places = []
        for topic in topics:
            numbers = await clients.partitions(reader, topic, settings.kafka)
            places += [clients.TopicPartition(topic, number) for number in numbers]
        clients.fetch_together(reader)
        reader.assign(places)
        await reader.seek_to_end(*places)
        async with beside(_way(writing, through)) as task:
            waits = await _waits(reader, task)
    return sorted(waits[len(waits) // 5 :])  # the first fifth is warming up


async def _way(writing: Coroutine[Any, Any, int], through: Callable[[], Awaitable[None]]) -> None:
    """From the writing's beginning until all has come to its end; nobody asks for that while records are measured."""
    await writing
    await asyncio.sleep(QUIET_SECONDS)
    await through()


async def _waits(reader: Any, way: asyncio.Task[None]) -> list[float]:
    """Seconds from each record's `ce_time` to here, until nothing has come for a while after the way's end.

    What runs before have left behind is passed over.
    """
    waits: list[float] = []
    begun, quiet_since = time.time(), time.monotonic()
    while not way.done() or time.monotonic() - quiet_since < QUIET_SECONDS:
        batches = await reader.getmany(timeout_ms=100)
        now = time.time()
        for records in batches.values():
            waits += [now - moment for moment in map(written_at, records) if moment >= begun]
        if batches or not way.done():
            quiet_since = time.monotonic()
    way.result()
    return waits
