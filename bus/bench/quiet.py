"""Many quiet datasets, an event a second each: what a worker then takes, and how long an event is under way."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from bus import wire
from bus.bench.batches import Record, send
from bus.bench.copies import Name, dataset_entity_mapping
from bus.bench.events import LIGHT_ROW, changes, headers
from bus.bench.latency import READ_SELDOM, written_at
from bus.kafka import clients
from bus.kafka.registry_client import SchemaRegistry
from bus.pipeline.codec import encoder
from bus.pipeline.envelope import envelope_schema

if TYPE_CHECKING:
    from bus.bench.copies import Resource
    from bus.config import Settings

SLICES: Final = 20
"""Parts of a second; in each of them the same share of the datasets gets its event."""

WRITERS: Final = 2
TIMED_EVERY: Final = 7
"""Every seventh dataset is timed. A reader of all the shared topics, each of which every one of its requests names,
took more of the broker than the worker did; no subscriber is like that."""

QUIET_SECONDS: Final = 3.0
WARM_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Quiet:
    """One run.

    Attributes:
        datasets: how many, an event a second each.
        worker_cores, broker_cores: CPU-seconds a second.
        events: how many were timed.
        p50, p99, p999: from `ce_time` to a reader of the shared topics, milliseconds.
        peak_mb: largest resident size of the worker, MB.
        warm_up: seconds until each timed dataset's first event had come through, and none was older than a second.
    """

    datasets: int
    worker_cores: float
    broker_cores: float
    events: int
    p50: float
    p99: float
    p999: float
    peak_mb: float
    warm_up: float


def resources(count: int) -> list[Resource]:
    """So many copies of the bench's dataset, entity and mapping, of one partition each."""
    return [each for number in range(count) for each in dataset_entity_mapping(name(number), partitions=1)]


def name(number: int) -> Name:
    """Of one of the quiet datasets."""
    return Name(f"quiet-{number:04}")


class Trickle:
    """Writes an event a second to each raw topic, and times what comes of every seventh.

    Args:
        settings: the cluster and the registry.
        count: of the datasets.
    """

    def __init__(self, settings: Settings, count: int) -> None:
        self._settings = settings
        self._count = count
        self._timed = range(0, count, TIMED_EVERY)
        self._stop = asyncio.Event()
        self._seen: set[str] = set()
        self._since = math.inf
        self._waits: list[float] = []
        self.warm = asyncio.Event()

    async def run(self) -> list[float]:
        """Write until it is stopped; seconds from `ce_time` to here, sorted, of the events since `measure`."""
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(self._write_all())
            group.create_task(self._read(writing))
        return sorted(self._waits)

    def measure(self) -> None:
        """Take times from now on."""
        self._since = time.time()

    def stop(self) -> None:
        """Write no more."""
        self._stop.set()

    async def _write_all(self) -> None:
        async with SchemaRegistry(self._settings.registry_url) as registry:
            encoders = [await _encoder(registry, number) for number in range(self._count)]
        shares = [list(range(writer, self._count, WRITERS)) for writer in range(WRITERS)]
        await asyncio.gather(*(self._write(share, encoders) for share in shares))

    async def _write(self, datasets: list[int], encoders: list[Any]) -> None:
        ready = list(changes(2_000, LIGHT_ROW))
        # Idempotent only: the worker is measured here, not the writer's promises.
        producer = clients.producer(self._settings.kafka)
        topics = [wire.raw_topic(name(dataset).dataset) for dataset in datasets]
        async with clients.started(producer, self._settings.kafka):
            await asyncio.gather(*map(producer.partitions_for, topics))
            begun = time.monotonic()
            for tick in count():
                if self._stop.is_set():
                    return
                await asyncio.sleep(max(0.0, begun + tick / SLICES - time.monotonic()))
                outputs = []
                for dataset in datasets[tick % SLICES :: SLICES]:
                    key, event = ready[(tick + dataset) % len(ready)]
                    made = headers(tick, name(dataset).dataset, time.time())
                    topic = wire.raw_topic(name(dataset).dataset)
                    outputs.append(Record(topic, 0, key, encoders[dataset](event), made))
                await asyncio.gather(*await send(producer, outputs, int(time.time() * 1000)))

    async def _read(self, writing: asyncio.Task[None]) -> None:
        reader = clients.consumer(self._settings.kafka, auto_offset_reset="latest", **READ_SELDOM)
        async with clients.started(reader, self._settings.kafka):
            clients.fetch_together(reader)
            topics = [wire.shared_topic(name(number).entity) for number in self._timed]
            reader.assign([clients.TopicPartition(topic, 0) for topic in topics])
            quiet_since = time.monotonic()
            while not writing.done() or time.monotonic() - quiet_since < QUIET_SECONDS:
                for place, records in (await reader.getmany(timeout_ms=100)).items():
                    quiet_since = time.monotonic()
                    self._take(place.topic, records, time.time())

    def _take(self, topic: str, records: list[Any], now: float) -> None:
        written = [written_at(record) for record in records]
        self._waits += [now - moment for moment in written if moment >= self._since]
        self._seen.add(topic)
        if len(self._seen) == len(self._timed) and now - written[-1] < 1.0:
            self.warm.set()


async def _encoder(registry: SchemaRegistry, number: int) -> Any:
    schema = envelope_schema(name(number).dataset, LIGHT_ROW)
    return encoder(await registry.register(wire.subject(wire.raw_topic(name(number).dataset)), schema), schema)
