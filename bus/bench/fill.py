"""Fills raw topics, at once or at a steady rate."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from bus import wire
from bus.bench.batches import Record, send
from bus.bench.events import POOL, headers, numbered
from bus.kafka import clients
from bus.kafka.partitions import partition_of
from bus.kafka.registry_client import SchemaRegistry
from bus.pipeline.codec import encoder
from bus.pipeline.envelope import envelope_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bus.bench.flows import Flow
    from bus.config import Settings

CHUNK: Final = 5_000
"""Records of a transaction, over four partitions: batches of about half a megabyte."""

PARTITIONS: Final = 4
ENCODED: Final = 3 * POOL
"""Different changes; a longer backlog tells them again, each with an id of its own."""


class Filler:
    """Writes changes of a flow's dataset to its raw topic, or to another.

    Args:
        settings: the cluster and the registry.
        flow: whose changes.
        topic: written to in the place of the raw topic.
    """

    def __init__(self, settings: Settings, flow: Flow, topic: str | None = None) -> None:
        self._settings = settings
        self._flow = flow
        self._topic = topic or wire.raw_topic(flow.dataset)
        self._ready: list[tuple[bytes, bytes, int]] = []

    async def fill(self, count: int) -> None:
        """Write so many changes."""
        await self._encode(count)
        async with self._producer() as producer:
            for begin in range(0, count, CHUNK):
                await producer.begin_transaction()
                chunk = self._records(begin, min(begin + CHUNK, count))
                await asyncio.gather(*await send(producer, chunk, int(time.time() * 1000)))
                await producer.commit_transaction()

    async def trickle(self, rate: float, seconds: float) -> int:
        """Write at a steady rate, each record's `ce_time` the time when it is written; how many."""
        await self._encode(POOL)
        async with self._producer() as producer:
            begun, done = time.monotonic(), 0
            while (elapsed := time.monotonic() - begun) < seconds:
                due = int(elapsed * rate)
                if due > done:
                    await producer.begin_transaction()
                    records = self._records(done, due)
                    await asyncio.gather(*await send(producer, records, int(time.time() * 1000)))
                    await producer.commit_transaction()
                done = due
                await asyncio.sleep(0.01)
        return done

    def _producer(self) -> Any:
        connection = self._settings.kafka.model_copy(update={"compression": self._flow.compression})
        return clients.started(clients.producer(connection, f"bench.fill.{self._topic}"), connection)

    async def _encode(self, count: int) -> None:
        if len(self._ready) >= min(count, ENCODED):
            return
        schema = envelope_schema(self._flow.dataset, self._flow.row)
        async with SchemaRegistry(self._settings.registry_url) as registry:
            encode = encoder(await registry.register(wire.subject(wire.raw_topic(self._flow.dataset)), schema), schema)
        changes = self._flow.changes(min(count, ENCODED))
        self._ready = [(key, encode(event), partition_of(key, PARTITIONS)) for key, event in changes]

    def _records(self, begin: int, end: int) -> Iterator[Record]:
        """The changes of these numbers, committed at the source just now."""
        pattern = headers(begin, self._flow.dataset, time.time())
        for number in range(begin, end):
            key, value, partition = self._ready[number % len(self._ready)]
            yield Record(self._topic, partition, key, value, numbered(pattern, number))
