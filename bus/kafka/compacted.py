"""A compacted topic read whole: the bus's own state (`_bus.catalogue`, `_bus.positions.*`).

Reading follows design §3: take the read-uncommitted end first, then read committed records until past it. An open
transaction of somebody else then delays the reader (10 s at most) instead of hiding the newest state from it.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, Self

from bus.errors import BrokerUnavailableError, FencedError
from bus.kafka import clients

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from bus.config import Connection


async def read_partitions(
    connection: Connection,
    starts: Mapping[tuple[str, int], int],
    take: Callable[[Any], None],
    *,
    within: float = 30.0,
) -> None:
    """Hand on every committed record of some partitions, from an offset each to the end as of now, in their order.

    Args:
        connection: the cluster.
        starts: (topic, partition) → offset; one that the topic no longer has stands for its oldest record.
        take: is given each record.
        within: seconds without any record after which it counts as failed.

    Raises:
        BrokerUnavailableError: the end was not reached: the broker does not answer, or a topic is not there.
    """
    reader = clients.consumer(connection, auto_offset_reset="earliest")
    end_reader = clients.consumer(connection, isolation_level="read_uncommitted")
    async with clients.started(reader, connection), clients.started(end_reader, connection):
        topics = {topic for topic, _ in starts}
        for client in (reader, end_reader):
            clients.introduce(client, topics)
        for topic in topics:
            await clients.partitions(reader, topic, connection)
            await clients.partitions(end_reader, topic, connection)
        places = {clients.TopicPartition(*place): start for place, start in starts.items()}
        try:
            async with asyncio.timeout(within):
                ends = await end_reader.end_offsets(places)
            reader.assign(list(places))
            for place, start in places.items():
                reader.seek(place, start)
            async with asyncio.timeout(within) as deadline:
                await _read_up_to(reader, ends, take, lambda: deadline.reschedule(_after(within)))
        except (TimeoutError, clients.KafkaError) as error:
            raise BrokerUnavailableError(
                f"the state could not be read to its end ({type(error).__name__})",
                where=", ".join(sorted({topic for topic, _ in starts})),
            ) from None


async def _read_up_to(
    reader: Any,
    ends: Mapping[Any, int],
    take: Callable[[Any], None],
    progressed: Callable[[], None] = lambda: None,
) -> bool:
    """Hand on every record up to the ends; whether there was any. `progressed` is told of each batch."""
    found = False
    while [place for place, end in ends.items() if await reader.position(place) < end]:
        for records in (await reader.getmany(timeout_ms=200)).values():
            progressed()
            for record in records:
                found = True
                take(record)
    return found


def _after(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


class CompactedTopic:
    """The live key → value pairs of a compacted topic, and a transactional writer to it.

    Attributes:
        items: the pairs, as of the last `refresh`.

    Keys are UTF-8 text. With `writer`, a transactional id, the older writer of that id is fenced on entry.
    """

    def __init__(self, connection: Connection, topic: str, *, writer: str | None = None, within: float = 30.0) -> None:
        self.items: dict[str, bytes] = {}
        self._connection = connection
        self._topic = topic
        self._within = within
        self._consumer = clients.consumer(connection)
        self._end_reader = clients.consumer(connection, isolation_level="read_uncommitted")
        self._producer = clients.producer(connection, writer) if writer else None

    async def __aenter__(self) -> Self:
        """Start, fence the older writer, and read everything there is.

        Raises:
            BrokerUnavailableError: the broker or the topic does not answer in time.
        """
        try:
            if self._producer is not None:
                await clients.start(self._producer, self._connection)
            await clients.start(self._consumer, self._connection)
            await clients.start(self._end_reader, self._connection)
            await self._assign()
            await self.refresh()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the clients."""
        await self.close()

    async def close(self) -> None:
        """Let go of the clients."""
        await clients.stop(self._consumer)
        await clients.stop(self._end_reader)
        if self._producer is not None:
            await clients.stop(self._producer)

    async def _assign(self) -> None:
        partitions = await clients.partitions(self._consumer, self._topic, self._connection)
        assignment = [clients.TopicPartition(self._topic, number) for number in sorted(partitions)]
        self._consumer.assign(assignment)
        await self._consumer.seek_to_beginning(*assignment)

    async def refresh(self) -> bool:
        """Read on to the end as of now; whether anything had changed.

        Raises:
            BrokerUnavailableError: the end was not reached in time.
        """
        try:
            async with asyncio.timeout(self._within):
                return await self._read_to_end()
        except (TimeoutError, clients.KafkaError) as error:
            raise BrokerUnavailableError(
                f"the state could not be read to its end ({type(error).__name__})", where=self._topic
            ) from None

    async def changed(self, *, within: float) -> bool:
        """Wait until something is written, so many seconds at most, and read on to the end; whether anything was.

        Raises:
            BrokerUnavailableError: the end was not reached in time; also when the broker went away meanwhile.
        """
        try:
            found = await self._consumer.getmany(timeout_ms=math.ceil(within * 1000))
        except clients.KafkaError as error:
            raise BrokerUnavailableError(
                f"the state could not be followed ({type(error).__name__})", where=self._topic
            ) from None
        for record in (record for records in found.values() for record in records):
            self._take(record.key.decode(), record.value)
        return await self.refresh() or bool(found)

    async def _read_to_end(self) -> bool:
        ends = await self._end_reader.end_offsets(self._consumer.assignment())
        return await _read_up_to(self._consumer, ends, lambda record: self._take(record.key.decode(), record.value))

    def _take(self, key: str, value: bytes | None) -> None:
        if value is None:
            self.items.pop(key, None)
        else:
            self.items[key] = value

    async def put(self, items: Mapping[str, bytes | None]) -> None:
        """Write all pairs in one transaction (None deletes), and see them.

        Raises:
            FencedError: another process writes under the same id now; nothing was written.
        """
        if self._producer is None:
            raise RuntimeError("opened without a writer")
        try:
            clients.refuse_fenced(self._producer)
            async with self._producer.transaction():
                sent = [await self._producer.send(self._topic, value, key=key.encode()) for key, value in items.items()]
                await asyncio.gather(*sent)
        except clients.FENCED:
            raise FencedError(where=self._topic) from None
        for key, value in items.items():
            self._take(key, value)
