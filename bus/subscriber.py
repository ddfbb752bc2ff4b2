"""For subscribing systems in Python: typed records of a view, in order per key, with the cursor kept in Kafka.

    async with bus.subscribe("view.portal-person.v1", group="portal") as records:
        async for record in records:
            store(record.key, record.value)      # value None: deleted, or no longer yours
            await records.commit(record)

The first start, and the start after SnapshotRequiredError, takes everything anew:

    async with bus.subscribe("view.portal-person.v1", group="portal", reload=True) as records:
        async for record in records.existing():
            store(record.key, record.value)
        remove_all_but(the keys that came)

Any other Avro client can read the same topics; this one also tells when its cursor is lost or too old.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from bus.config import Settings
from bus.errors import NotEntitledError, SnapshotRequiredError
from bus.kafka import clients
from bus.kafka.registry_client import SchemaRegistry
from bus.pipeline.codec import Decoders, UnknownSchemaError
from bus.wire import CloudEvent, schema_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
    from types import TracebackType

JOINING_SECONDS: Final = 0.05
TOPIC_SECONDS: Final = 5.0
OFFLINE_SECONDS: Final = 30 * 86_400
"""How long deletions stay on a view's topic (its `delete.retention.ms`): the longest a subscriber may be away."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a topic.

    Attributes:
        key: the entity's key, or its pseudonym.
        value: the record; None if it was deleted, or is no longer yours.
        event: its CloudEvents attributes; `time` is the commit time at the source.
    """

    topic: str
    partition: int
    offset: int
    key: str
    value: dict[str, Any] | None
    event: CloudEvent


class Records:
    """The records of a topic, from the group's cursor on; made by `subscribe`."""

    def __init__(self, topic: str, group: str, settings: Settings, *, reload: bool, offline_seconds: float) -> None:
        self._topic = topic
        self._group = group
        self._settings = settings
        self._reload = reload
        self._offline_seconds = offline_seconds
        self._decoders = Decoders()
        self._registry = SchemaRegistry(settings.registry_url)
        # While reloading there need be no cursor: aiokafka may look for one before we have said where to begin.
        reset = "earliest" if reload else "none"
        self._consumer = clients.consumer(settings.kafka, group_id=group, auto_offset_reset=reset)
        self._listener = _Assigned(self._take_up)
        self._failure: SnapshotRequiredError | None = None
        self._ends: dict[Any, int] = {}
        self._taken_up = asyncio.Event()
        self._left = 0

    async def __aenter__(self) -> Self:
        """Connect and join the group.

        Raises:
            LoginRefusedError: the broker does not take the login.
            TopicUnknownError: there is no such topic, or the subscriber may not read it.
            BrokerUnavailableError: no broker answers.
        """
        try:
            await clients.start(self._consumer, self._settings.kafka)
            await clients.partitions(self._consumer, self._topic, self._settings.kafka, within=TOPIC_SECONDS)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        clients.fetch_together(self._consumer)
        self._consumer.subscribe([self._topic], listener=self._listener)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the group; what was not committed comes again."""
        await clients.stop(self._consumer)
        await self._registry.close()

    async def __aiter__(self) -> AsyncIterator[Record]:
        """Records without end.

        Raises:
            SnapshotRequiredError: the cursor is lost, or so old that deletions may be gone from the topic.
            NotEntitledError: the group is not the subscriber's, or the subscription was withdrawn.
            RegistryUnavailableError: a schema cannot be had.
        """
        while True:
            for record in await self._poll():
                self._left -= 1
                yield await self._record(record)

    async def existing(self) -> AsyncIterator[Record]:
        """While reloading: the records that were there at the start, the deleted ones too. Ends by itself.

        At the end the cursor of every partition, also of an empty one, stands behind them. One process does this for
        its whole group: only then have all keys come that are still there.

        Raises:
            RegistryUnavailableError: a schema cannot be had.
        """
        while not await self.caught_up():
            for record in await self._poll():
                self._left -= 1
                yield await self._record(record)
        told = f"{time.time():.0f}"
        await self._consumer.commit({place: (await self._consumer.position(place), told) for place in self._ends})

    async def _poll(self) -> list[Any]:
        try:
            # Reloading, nothing from before the beginning was sought, nor before the ends are known.
            while self._reload and not self._taken_up.is_set():
                clients.refuse_group(self._consumer)
                await asyncio.sleep(JOINING_SECONDS)
            polled = await self._consumer.getmany(timeout_ms=500, max_records=500)
        except clients.LOST_OFFSET:
            raise self._failure or self._snapshot_required(
                f"group {self._group} has not read it yet, or long ago"
            ) from None
        except clients.NOT_ENTITLED as error:
            raise self._not_entitled(error) from None
        if self._failure is not None:
            raise self._failure
        found = [record for records in polled.values() for record in records]
        self._left = len(found)
        return found

    async def _take_up(self, places: list[Any]) -> None:
        """Start newly assigned partitions: at their cursors, or at the beginning when reloading.

        Called while the group rebalances, where an error would be lost: the iterator raises it.
        """
        if self._reload:
            # First of all, or the client finds out meanwhile that there is no cursor, and fails.
            try:
                await self._consumer.seek_to_beginning(*places)
                self._ends.update(await self._consumer.end_offsets(places))
            finally:
                self._taken_up.set()
            return
        oldest = time.time() - self._offline_seconds
        for place, (_, told) in (await clients.committed(self._consumer, places)).items():
            if not told.isdecimal() or int(told) < oldest:  # of unknown age: another client has moved the cursor
                self._failure = self._snapshot_required(f"the cursor of partition {place.partition} is too old")

    def _snapshot_required(self, detail: str) -> SnapshotRequiredError:
        return SnapshotRequiredError(
            detail,
            where=self._topic,
            fix="subscribe with reload=True: take what `existing()` gives, then remove the keys that did not come",
        )

    def _not_entitled(self, error: Exception) -> NotEntitledError:
        login = self._settings.kafka.username
        return NotEntitledError(
            f"{login!r} may not read {self._topic} as group {self._group} ({type(error).__name__})",
            where=self._settings.kafka.bootstrap,
            fix=f"groups of a subscriber are called {login} or {login}.…; ask the bus's operator whether the "
            "subscription is still active",
        )

    async def _record(self, record: Any) -> Record:
        value = None if record.value is None else await self._decode(record.value)
        event = CloudEvent.of(record.headers)
        return Record(record.topic, record.partition, record.offset, record.key.decode(), value, event)

    async def _decode(self, value: bytes) -> dict[str, Any]:
        writer = schema_id(value)
        try:
            found: dict[str, Any] = self._decoders.decode(writer, value)
        except UnknownSchemaError:
            self._decoders.add(writer, await self._registry.schema(writer))
            found = self._decoders.decode(writer, value)
        return found

    async def caught_up(self) -> bool:
        """While reloading: whether everything that was there at the start has been handed out."""
        if not self._ends or self._left:
            return False
        return all([await self._consumer.position(place) >= end for place, end in self._ends.items()])

    async def commit(self, record: Record) -> None:
        """Move the group's cursor behind a record, with the time, by which a later start knows its age.

        Raises:
            NotEntitledError: the subscription was withdrawn.
        """
        place = clients.TopicPartition(record.topic, record.partition)
        try:
            await self._consumer.commit({place: (record.offset + 1, f"{time.time():.0f}")})
        except clients.NOT_ENTITLED as error:
            raise self._not_entitled(error) from None


def subscribe(
    topic: str,
    group: str,
    *,
    settings: Settings | None = None,
    reload: bool = False,
    offline_seconds: float = OFFLINE_SECONDS,
) -> Records:
    """The records of a view's topic.

    Args:
        topic: `view.<name>.v<N>`.
        group: the subscriber's consumer group; several processes of one group share the partitions.
        settings: the cluster, the login and the registry; from the environment by default.
        reload: take everything from the beginning: at the very first start, and after SnapshotRequiredError.
        offline_seconds: the promised offline time of the topic.
    """
    return Records(topic, group, settings or Settings.load(), reload=reload, offline_seconds=offline_seconds)


class _Assigned(clients.ConsumerRebalanceListener):
    """Tells which partitions came that were not ours before."""

    def __init__(self, take_up: Callable[[list[Any]], Awaitable[None]]) -> None:
        self._take_up = take_up
        self._held: set[Any] = set()

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """What is new is told by the assignment."""

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Take up what was not ours before."""
        now = set(assigned)
        new, self._held = now - self._held, now
        if new:
            await self._take_up(list(new))
