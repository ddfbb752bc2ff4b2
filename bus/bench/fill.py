"""Fills topics, at once or at a steady rate."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from bus import wire
from bus.bench.districts import moved
from bus.bench.events import changes, headers
from bus.kafka import clients
from bus.kafka.partitions import partition_of
from bus.kafka.registry_client import SchemaRegistry
from bus.pipeline import transaction
from bus.pipeline.codec import encoder
from bus.pipeline.envelope import envelope_schema
from bus.pipeline.record import Output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bus.config import Settings

CHUNK: Final = 5_000
PARTITIONS: Final = 4


class Filler:
    """Writes changes of a dataset to its raw topic.

    Args:
        settings: the cluster and the registry.
        dataset: `<dept>.<dataset>`.
        row_schema: of its rows.
        districts: people are spread over so many made-up ones; None leaves them where they are.
    """

    def __init__(
        self, settings: Settings, dataset: str, row_schema: dict[str, Any], districts: int | None = None
    ) -> None:
        self._districts = districts
        self._settings = settings
        self._dataset = dataset
        self._row_schema = row_schema
        self._producer = clients.producer(settings.kafka, f"bench.fill.{dataset}")

    async def _encoder(self) -> Any:
        schema = envelope_schema(self._dataset, self._row_schema)
        async with SchemaRegistry(self._settings.registry_url) as registry:
            return encoder(await registry.register(wire.subject(wire.raw_topic(self._dataset)), schema), schema)

    async def fill(self, count: int) -> dict[tuple[str, int], int]:
        """Write so many changes; by partition, the offset behind the last one."""
        encode = await self._encoder()
        ends: dict[tuple[str, int], int] = {}
        async with clients.started(self._producer, self._settings.kafka):
            for chunk in _chunks(self._outputs(count, encode)):
                await self._producer.begin_transaction()
                futures = await transaction.send(self._producer, chunk, int(time.time() * 1000))
                for told in await asyncio.gather(*futures):
                    ends[told.topic, told.partition] = max(ends.get((told.topic, told.partition), 0), told.offset)
                await self._producer.commit_transaction()
            return {place: await self._end(place) for place in ends}

    async def _end(self, place: tuple[str, int]) -> int:
        """The offset behind the last record: the end of the partition, less the last commit marker."""
        reader = clients.consumer(self._settings.kafka)
        async with clients.started(reader, self._settings.kafka):
            found = await reader.end_offsets([clients.TopicPartition(*place)])
            return int(next(iter(found.values()))) - 1

    def _outputs(self, count: int, encode: Any) -> Iterator[Output]:
        topic, now = wire.raw_topic(self._dataset), time.time()
        for number, (key, event) in enumerate(changes(count, self._row_schema)):
            made = headers(number, self._dataset, now)
            yield Output(topic, partition_of(key, PARTITIONS), key, encode(event), made)

    async def trickle(self, rate: float, seconds: float) -> int:
        """Write at a steady rate, each record's `ce_time` the time when it is written; how many."""
        encode = await self._encoder()
        topic = wire.raw_topic(self._dataset)
        people = changes(20_000, self._row_schema)
        if self._districts:
            people = moved(people, self._districts)
        ready = [(key, encode(event)) for key, event in people]
        async with clients.started(self._producer, self._settings.kafka):
            begun, done = time.monotonic(), 0
            while (elapsed := time.monotonic() - begun) < seconds:
                due = int(elapsed * rate)
                outputs = []
                for number in range(done, due):
                    key, value = ready[number % len(ready)]
                    made = headers(number, self._dataset, time.time())
                    outputs.append(Output(topic, partition_of(key, PARTITIONS), key, value, made))
                done = due
                if outputs:
                    await transaction.commit(self._producer, outputs, {}, "", int(time.time() * 1000))
                await asyncio.sleep(0.01)
        return done


def _chunks(outputs: Iterator[Output]) -> Iterator[list[Output]]:
    chunk: list[Output] = []
    for output in outputs:
        chunk.append(output)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
