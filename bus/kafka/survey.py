"""Looking at a cluster without taking part in it: ends, groups' offsets, and single records; never joins a group.

Made to be asked every second: connections stay open, what many partitions are asked for goes in one request a broker.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code
from aiokafka.protocol.commit import OffsetFetchRequest

from bus.errors import BrokerUnavailableError
from bus.kafka import clients

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from types import TracebackType

    from bus.config import Connection

Place = tuple[str, int]
"""Topic and partition."""

ANSWER_SECONDS: Final = 10.0
PEEK_SECONDS: Final = 0.5
"""How long records are waited for; those that did not come are looked for the next time."""


class Span(NamedTuple):
    """Part of a partition: offsets from `start` up to and without `end`, of which at most `most` records are read."""

    start: int
    end: int
    most: int


class Glimpse(NamedTuple):
    """What stands in a span.

    Attributes:
        records: in order, at most as many as were asked for.
        whole: the span has no others.
    """

    records: list[Any]
    whole: bool


class Survey:
    """One onlooker's connections to a cluster.

    Every method raises BrokerUnavailableError when no broker answers in time.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._admin = AIOKafkaAdminClient(**clients.security(connection))
        self._reader = clients.consumer(connection, fetch_max_wait_ms=50)
        # Another one for offsets: what is assigned to the reader drives all other topics out of its metadata.
        self._meter = clients.consumer(connection)
        self._met: set[str] = set()
        self._coordinators: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        """Connect."""
        try:
            await clients.start(self._reader, self._connection)
            await clients.start(self._meter, self._connection)
            await clients.start(self._admin, self._connection)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go."""
        await self.close()

    async def close(self) -> None:
        """Let go."""
        await clients.stop(self._reader, within=2.0)
        await clients.stop(self._meter, within=2.0)
        await self._admin.close()

    async def topics(self) -> dict[str, int]:
        """Number of partitions by topic; of those that this login may see."""
        described = await self._asked(self._admin.describe_topics())
        return {each["topic"]: len(each["partitions"]) for each in described if not each["error_code"]}

    async def ends(self, places: Collection[Place]) -> dict[Place, int]:
        """Where each partition ends for readers of committed records."""
        return await self._offsets(self._meter.end_offsets, places)

    async def starts(self, places: Collection[Place]) -> dict[Place, int]:
        """The oldest offset of each partition."""
        return await self._offsets(self._meter.beginning_offsets, places)

    async def at(self, places: Collection[Place], moment: float) -> dict[Place, int | None]:
        """The offset of the first record since a moment (seconds since 1970); None if there is none."""
        asked = {clients.TopicPartition(*place): int(moment * 1000) for place in places}
        await self._introduce(places)
        found = await self._asked(self._meter.offsets_for_times(asked))
        return {(place.topic, place.partition): each and each.offset for place, each in found.items()}

    async def _offsets(self, ask: Any, places: Collection[Place]) -> dict[Place, int]:
        if not places:
            return {}
        await self._introduce(places)
        found = await self._asked(ask([clients.TopicPartition(*place) for place in places]))
        return {(place.topic, place.partition): offset for place, offset in found.items()}

    async def _introduce(self, places: Collection[Place]) -> None:
        """Ask for the metadata of new topics together: aiokafka would ask for one, and wait, after the other."""
        client = self._meter._client  # noqa: SLF001  no public way leads there
        topics = {topic for topic, _ in places}
        if not all(client.cluster.partitions_for_topic(topic) for topic in topics):
            self._met |= topics
            await self._asked(client.set_topics(self._met))

    async def groups(self) -> set[str]:
        """The consumer groups that this login may see."""
        return {name for name, *_ in await self._asked(self._admin.list_consumer_groups())}

    async def committed(self, group: str) -> dict[Place, int]:
        """The offsets that a group has committed."""
        return await self._asked(self._committed(group))  # type: ignore[no-any-return]

    async def _committed(self, group: str) -> dict[Place, int]:
        while True:
            if group not in self._coordinators:
                self._coordinators[group] = await self._admin.find_coordinator(group)
            request = OffsetFetchRequest(group, None)
            # aiokafka's public method overlooks the error of the whole answer: a coordinator that is only just loading
            # would look like a group without offsets.
            answer = await self._admin._send_request(request, self._coordinators[group])  # noqa: SLF001
            error = for_code(answer.error_code)
            if not answer.error_code:
                return {
                    (topic, number): offset
                    for topic, partitions in answer.topics
                    for number, offset, _, code in partitions
                    if not code and offset >= 0
                }
            del self._coordinators[group]
            if not error.retriable:
                raise error
            await asyncio.sleep(0.1)

    async def peek(self, spans: Mapping[Place, Span]) -> dict[Place, Glimpse]:
        """The first records of each span, as far as they come in time; what did not come is left out."""
        wanted = {place: span for place, span in spans.items() if span.start < span.end}
        found = {place: Glimpse([], whole=True) for place in spans.keys() - wanted.keys()}
        if not wanted:
            return found
        places = {clients.TopicPartition(*place): span for place, span in wanted.items()}
        self._reader.assign(list(places))
        for place, span in places.items():
            self._reader.seek(place, span.start)
        try:
            await self._read(places, found)
        except clients.LOST_OFFSET:  # a span that was deleted meanwhile
            return found
        except clients.KafkaError as error:
            raise BrokerUnavailableError(type(error).__name__, where=self._connection.bootstrap) from None
        finally:
            self._reader.unsubscribe()
        return found

    async def _read(self, places: Mapping[Any, Span], found: dict[Place, Glimpse]) -> None:
        came: dict[Any, list[Any]] = {place: [] for place in places}
        deadline = time.monotonic() + PEEK_SECONDS
        left = set(places)
        while left and time.monotonic() < deadline:
            for place, records in (await self._reader.getmany(*left, timeout_ms=50)).items():
                came[place] += [record for record in records if record.offset < places[place].end]
            for place in list(left):
                span, records = places[place], came[place]
                whole = await self._reader.position(place) >= span.end
                if whole or len(records) >= span.most:
                    left.remove(place)
                    self._reader.pause(place)
                    whole = whole and len(records) <= span.most
                    found[place.topic, place.partition] = Glimpse(records[: span.most], whole)

    async def _asked(self, question: Any) -> Any:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await question
        except (clients.KafkaError, TimeoutError, OSError) as error:
            raise BrokerUnavailableError(
                type(error).__name__,
                where=self._connection.bootstrap,
                fix="check that Kafka runs there, and what this login may see",
            ) from None
