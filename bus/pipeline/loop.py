"""The loop: read a batch, apply a stage, write outputs and input offsets in one Kafka transaction; over and over.

A lane opens in one order (design §3): init producer, which fences the previous owner and ends its open transaction →
committed offsets → consume. After any Kafka error it closes and opens again the same way: there is one path.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog

from bus.errors import DependencyError, FencedError, LostPositionError, SchemaNotFoundError
from bus.kafka import clients
from bus.pipeline import transaction
from bus.pipeline.codec import Decoders, UnknownSchemaError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bus.config import Connection
    from bus.kafka.registry_client import SchemaRegistry
    from bus.pipeline.record import InputRecord, Output, Stage

_log = structlog.get_logger()

MAX_RECORDS: Final = 4_000
"""Records of one transaction: enough that its fixed cost (about 2 ms of CPU) hardly counts."""

SLICE: Final = 250
"""Records that a stage works on before the event loop gets its turn (heartbeats): a few milliseconds."""

PACE_SECONDS: Final = 0.03
"""Shortest time between two commits of a lane while it keeps up: bounds the transactions per second."""

REST_SECONDS: Final = 0.01
"""Shortest time from a commit to the next transaction: one begun while the broker still writes the markers of the last
is told to come again after 20 ms."""

RECOMMIT_SECONDS: Final = 86_400.0
"""Offsets of quiet partitions are committed again: the broker forgets them after 7 days by default."""


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane of a stage, as Kafka knows it.

    Attributes:
        transactional_id: the same for every owner.
        group: the consumer group that holds the stage's offsets.
    """

    transactional_id: str
    group: str


@dataclass(frozen=True, slots=True)
class Work:
    """What a lane does as of one state of the catalogue: its input partitions and the stage for them."""

    inputs: frozenset[tuple[str, int]]
    stage: Stage


@dataclass(slots=True)
class LaneCounts:
    """What a lane has done since it opened; read by health and metrics."""

    records: int = 0
    outputs: int = 0
    transactions: int = 0
    failures: int = 0
    last_commit: float = 0.0


class LaneLoop:
    """One lane of one stage.

    Args:
        connection: the cluster.
        lane: which one.
        work: the lane's work now; asked between batches, so that a change of the catalogue needs no restart.
        registry: where writer schemas come from.
        decoders: shared by the lanes of a process.
    """

    def __init__(
        self,
        connection: Connection,
        lane: Lane,
        *,
        work: Callable[[], Work],
        registry: SchemaRegistry,
        decoders: Decoders,
    ) -> None:
        self.counts = LaneCounts()
        self._connection = connection
        self.lane = lane
        self._work = work
        self._registry = registry
        self._decoders = decoders
        self._stopping = asyncio.Event()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Ask the lane to end after the transaction that it is in."""
        self._stopping.set()

    async def run(self) -> None:
        """Own the lane until it is stopped.

        Raises:
            FencedError: another process owns the lane now.
            LostPositionError: a committed offset is missing, or lies before the log's start.
        """
        backoff = 0.2
        while not self._stopping.is_set():
            if not self._work().inputs:
                await self._pause(0.5)
                continue
            started = time.monotonic()
            try:
                await self._own()
            except clients.FENCED:
                raise FencedError(where=self.lane.transactional_id) from None
            except clients.LOST_OFFSET as error:
                raise self._lost(error) from None
            except (clients.KafkaError, DependencyError, OSError) as error:
                self.counts.failures += 1
                _log.warning("lane opens again", lane=self.lane.transactional_id, error=type(error).__name__)
                backoff = 0.2 if time.monotonic() - started > 5 else min(backoff * 2, 3.0)
                await self._pause(backoff * random.uniform(0.8, 1.2))  # noqa: S311  jitter, not a secret

    def _lost(self, error: Exception) -> LostPositionError:
        return LostPositionError(
            type(error).__name__,
            where=f"group {self.lane.group}, lane {self.lane.transactional_id}",
            fix="see which offset is missing with `bus status`; rebuild from a snapshot with `bus replay`",
        )

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _own(self) -> None:
        producer = clients.producer(self._connection, self.lane.transactional_id)
        async with clients.started(producer, self._connection):
            inputs = self._work().inputs
            consumer = clients.consumer(
                self._connection, group_id=self.lane.group, fetch_max_wait_ms=_fetch_wait_ms(len(inputs))
            )
            async with clients.started(consumer, self._connection):
                await self._consume(consumer, producer, inputs)

    async def _consume(self, consumer: Any, producer: Any, inputs: frozenset[tuple[str, int]]) -> None:
        consumer.assign([clients.TopicPartition(*place) for place in inputs])
        recommit_at = time.monotonic()
        while not self._stopping.is_set():
            work = self._work()
            if work.inputs != inputs:
                return
            started = time.monotonic()
            polled = await consumer.getmany(timeout_ms=200, max_records=MAX_RECORDS)
            if polled:
                taken = await self._step(work.stage, polled, producer)
                await self._pace(started, taken)
            elif started >= recommit_at:
                await self._recommit(consumer, producer)
                recommit_at = started + RECOMMIT_SECONDS

    async def _step(self, stage: Stage, polled: dict[Any, Sequence[InputRecord]], producer: Any) -> int:
        outputs: list[Output] = []
        for records in polled.values():
            for start in range(0, len(records), SLICE):
                outputs += await self._apply(stage, records[start : start + SLICE])
                await asyncio.sleep(0)
        offsets = {place: records[-1].offset + 1 for place, records in polled.items()}
        await transaction.commit(producer, outputs, offsets, self.lane.group, int(time.time() * 1000))
        taken = sum(map(len, polled.values()))
        self.counts.records += taken
        self.counts.outputs += len(outputs)
        self.counts.transactions += 1
        self.counts.last_commit = time.time()
        return taken

    async def _apply(self, stage: Stage, records: Sequence[InputRecord]) -> list[Output]:
        while True:
            try:
                return stage(records)
            except UnknownSchemaError as unknown:
                await self._fetch_schema(unknown.schema_id)

    async def _fetch_schema(self, schema_id: int) -> None:
        try:
            schema = await self._registry.schema(schema_id)
        except SchemaNotFoundError:
            schema = None
        self._decoders.add(schema_id, schema)

    async def _pace(self, started: float, taken: int) -> None:
        if taken < MAX_RECORDS // 4:
            await asyncio.sleep(max(REST_SECONDS, started + PACE_SECONDS - time.monotonic()))

    async def _recommit(self, consumer: Any, producer: Any) -> None:
        """Commit the offsets as they are; reading them fails if one is missing."""
        offsets = {place: await consumer.committed(place) for place in consumer.assignment()}
        missing = [place for place, offset in offsets.items() if offset is None]
        if missing:
            raise LostPositionError(
                "no committed offset", where=", ".join(f"{tp.topic}/{tp.partition}" for tp in missing)
            )
        if offsets:
            await transaction.commit(producer, [], offsets, self.lane.group, 0)


def _fetch_wait_ms(partitions: int) -> int:
    """How long the broker may hold a fetch back: longer for many partitions, each of which a request must name."""
    return 500 if partitions < 32 else 1000
