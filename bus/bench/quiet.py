"""Many quiet datasets, an event a second each: what a worker then takes, and how long an event is under way."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from ruamel.yaml import YAML

from bus import wire
from bus.bench.events import LIGHT_ROW, changes, headers
from bus.kafka import clients
from bus.kafka.registry_client import SchemaRegistry
from bus.pipeline import transaction
from bus.pipeline.codec import encoder
from bus.pipeline.envelope import envelope_schema
from bus.pipeline.record import Output

if TYPE_CHECKING:
    from pathlib import Path

    from bus.config import Settings

SLICES: Final = 20
"""Parts of a second; in each of them the same share of the datasets gets its event."""

WRITERS: Final = 2
TIMED_EVERY: Final = 7
"""Every seventh dataset is timed. A reader of all the shared topics, each of which every one of its requests names,
took more of the broker than the worker did; no subscriber is like that."""

READ_SELDOM: Final = {"fetch_min_bytes": 1 << 20, "fetch_max_wait_ms": 100}
"""So that the reader's requests, which name all that is timed, do not load the broker; up to 0.1 s is its own."""

QUIET_SECONDS: Final = 3.0
WARM_SECONDS: Final = 120.0
COPIED: Final = ("Dataset", "Entity", "Mapping")


@dataclass(frozen=True, slots=True)
class Quiet:
    """One run.

    Attributes:
        datasets: how many, an event a second each.
        worker_cores, broker_cores: CPU-seconds a second.
        events: how many were timed.
        p50, p99: from `ce_time` to a reader of the shared topics, milliseconds.
        peak_mb: largest resident size of the worker, MB.
        warm_up: seconds until each timed dataset's first event had come through, and none was older than a second.
    """

    datasets: int
    worker_cores: float
    broker_cores: float
    events: int
    p50: float
    p99: float
    peak_mb: float
    warm_up: float


def dataset_name(number: int) -> str:
    """Of one of the quiet datasets."""
    return f"bench.quiet-{number:04}"


def entity_name(number: int) -> str:
    """Of what it is mapped to."""
    return f"bench.quiet_{number:04}"


def write_workspace(bench: Path, target: Path, datasets: int) -> None:
    """Make a file of so many copies of the bench's dataset, entity and mapping, of one partition each."""
    yaml = YAML(typ="safe")
    kept = [each for each in yaml.load_all(bench) if each["kind"] in COPIED]
    made = [_renamed(each, number) for number in range(datasets) for each in kept]
    yaml.dump_all(made, target)


def _renamed(resource: dict[str, Any], number: int) -> dict[str, Any]:
    spec = dict(resource["spec"])
    match resource["kind"]:
        case "Dataset":
            name = dataset_name(number)
            spec |= {"partitions": 1, "source": spec["source"] | {"name": f"public.people_{number}"}}
        case "Entity":
            name = entity_name(number)
            schema = spec["schema"] | {"name": name.removeprefix("bench."), "namespace": "bench"}
            spec |= {"partitions": 1, "schema": schema}
        case _:
            name = f"bench-quiet-{number:04}"
            spec |= {"dataset": dataset_name(number), "entity": entity_name(number)}
    return {"kind": resource["kind"], "metadata": resource["metadata"] | {"name": name}, "spec": spec}


def written_at(record: Any) -> float:
    """When a record's change was written, by its `ce_time`: seconds since 1970."""
    return wire.micros(dict(record.headers)["ce_time"].decode()) / 1e6


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
        topics = [wire.raw_topic(dataset_name(dataset)) for dataset in datasets]
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
                    made = headers(tick, dataset_name(dataset), time.time())
                    topic = wire.raw_topic(dataset_name(dataset))
                    outputs.append(Output(topic, 0, key, encoders[dataset](event), made))
                await asyncio.gather(*await transaction.send(producer, outputs, int(time.time() * 1000)))

    async def _read(self, writing: asyncio.Task[None]) -> None:
        reader = clients.consumer(self._settings.kafka, auto_offset_reset="latest", **READ_SELDOM)
        async with clients.started(reader, self._settings.kafka):
            clients.fetch_together(reader)
            topics = [wire.shared_topic(entity_name(number)) for number in self._timed]
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
    schema = envelope_schema(dataset_name(number), LIGHT_ROW)
    return encoder(await registry.register(wire.subject(wire.raw_topic(dataset_name(number))), schema), schema)
