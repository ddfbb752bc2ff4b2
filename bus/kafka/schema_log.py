"""The `_schemas` topic as a log with one writer at a time and any number of readers.

Writers need no election and no forwarding: whoever wants to write takes the transactional id over, which fences the
last writer (KIP-98), reads to the end, decides, and writes in one transaction. As long as its transactions succeed
nobody else has written since; once fenced it starts again from the newest state. So ids and version numbers stay
unique however many registries run, and a record is acknowledged only when it has been read back.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog

from bus.errors import BrokerUnavailableError
from bus.kafka import clients
from bus.kafka.admin import CHECK, Admin, NewTopic

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bus.config import Connection

T = TypeVar("T")

TOPIC: Final = "_schemas"
ATTEMPTS: Final = 20
WITHIN_SECONDS: Final = 15.0

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record of the topic.

    Attributes:
        value: None deletes the key once the topic is compacted.
    """

    key: bytes
    value: bytes | None


class SchemaLog:
    """Reads the topic from its beginning into `apply`, follows it, and writes to it.

    Args:
        apply: takes key and value of every committed record, in order, ours included.
        topic: one partition, compacted; created if absent.
    """

    def __init__(
        self, connection: Connection, apply: Callable[[bytes, bytes | None], None], topic: str = TOPIC
    ) -> None:
        self._connection = connection
        self._apply = apply
        self._partition = clients.TopicPartition(topic, 0)
        self._consumer: Any = None
        self._end_reader: Any = None  # a connection of its own: a question behind a fetch waits for that fetch
        self._producer: Any = None
        self._follower: asyncio.Task[None] | None = None
        self._position = 0
        self._moved = asyncio.Condition()
        self._writing = asyncio.Lock()

    async def start(self) -> None:
        """Create the topic if absent, and read it to its end.

        Raises:
            BrokerUnavailableError: Kafka does not answer.
        """
        topic = NewTopic(self._partition.topic, 1, {"cleanup.policy": "compact"})
        await asyncio.to_thread(lambda: Admin(self._connection).create_topics([topic]))
        self._consumer = clients.consumer(self._connection)
        await clients.start(self._consumer, self._connection)
        self._end_reader = clients.consumer(self._connection)
        await clients.start(self._end_reader, self._connection)
        self._consumer.assign([self._partition])
        await self._consumer.seek_to_beginning(self._partition)
        self._follower = asyncio.create_task(self._follow(), name="registry: follow _schemas")
        await self.refresh()

    async def stop(self) -> None:
        """Let go of the clients."""
        if self._follower is not None:
            self._follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._follower
        await self._release()
        for client in (self._consumer, self._end_reader):
            if client is not None:
                await clients.stop(client)

    async def refresh(self) -> None:
        """Wait until everything that was committed before this call has been applied.

        Raises:
            BrokerUnavailableError: not within WITHIN_SECONDS.
        """
        try:
            async with asyncio.timeout(WITHIN_SECONDS):
                ends = await self._end_reader.end_offsets([self._partition])  # read committed: the last stable offset
                await self._reached(ends[self._partition])
        except (TimeoutError, clients.KafkaError) as error:
            raise self._unavailable(error) from error

    async def write(self, decide: Callable[[], tuple[T, Sequence[LogRecord]]]) -> T:
        """Write what `decide` answers from the newest state, and return when it has been applied here.

        Args:
            decide: gives the answer and the records; called again with newer state when another registry has
                written in between; what it raises ends the write.

        Raises:
            BrokerUnavailableError: Kafka does not answer, or other registries keep winning.
        """
        async with self._writing:
            for _ in range(ATTEMPTS):
                try:
                    async with asyncio.timeout(WITHIN_SECONDS):
                        await self._own()
                        answer, records = decide()
                        await self._commit(records)
                except clients.FENCED:
                    _log.info("another registry wrote; deciding again")
                    await self._release()
                except (TimeoutError, clients.KafkaError) as error:
                    await self._release()
                    if type(error) is not clients.KafkaError:
                        raise self._unavailable(error) from error
                    # aiokafka's word for a writer that can go on no more and does not know why: another one will know.
                    _log.info("the writer failed; deciding again")
                else:
                    return answer
        raise BrokerUnavailableError("other registries write all the time", where=self._partition.topic)

    async def _own(self) -> None:
        """Be the writer: fence the last one, then know everything that it wrote."""
        if self._producer is None:
            self._producer = clients.producer(self._connection, f"shuniu-registry-{self._partition.topic}")
            await clients.start(self._producer, self._connection)
            await self.refresh()

    async def _commit(self, records: Sequence[LogRecord]) -> None:
        if not records:
            return
        clients.refuse_fenced(self._producer)
        async with self._producer.transaction():
            sent = [await self._producer.send(self._partition.topic, r.value, key=r.key, partition=0) for r in records]
            done = await asyncio.gather(*sent)
        await self._reached(done[-1].offset + 1)

    async def _release(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        with contextlib.suppress(clients.KafkaError):  # a fenced producer cannot end its transaction
            await clients.stop(producer)

    async def _follow(self) -> None:
        """Apply every record, for ever. A broker that is away is waited for; reads are answered meanwhile."""
        while True:
            try:
                batches = await self._consumer.getmany(self._partition, timeout_ms=500)
            except clients.KafkaError as error:
                _log.warning("cannot follow the schema log; trying again", error=type(error).__name__)
                await asyncio.sleep(1)
                continue
            for record in batches.get(self._partition, []):
                if record.key is not None:
                    self._apply(record.key, record.value)
            async with self._moved:
                self._position = await self._consumer.position(self._partition)
                self._moved.notify_all()

    async def _reached(self, offset: int) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: self._position >= offset)

    def _unavailable(self, error: Exception) -> BrokerUnavailableError:
        where = f"{self._partition.topic} at {self._connection.bootstrap}"
        return BrokerUnavailableError(type(error).__name__, where=where, fix=CHECK)
