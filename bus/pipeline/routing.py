"""What a lane of the route stage holds while it is open: its memory of each partition, and the scan for new views.

A new view is filled by the lanes that own the entity's partitions: each reads its partitions once from their start to
where live work stood when the views joined (N), for all views that are new at once, beside the live work. What the scan
has done is kept in the transactions of its outputs, so that whoever owns the lane next goes on there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bus.kafka import clients
from bus.kafka.compacted import read_partitions
from bus.pipeline.memory import Memory
from bus.pipeline.route import PartitionRouter, Route

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bus.config import Connection
    from bus.pipeline.entity_views import EntityViews
    from bus.pipeline.record import InputRecord, Made, Output

    Place = tuple[str, int]

SCAN_RECORDS: Final = 2_000
"""Records of one step of a scan: live work waits for at most that many."""


class Routing:
    """One lane's.

    Args:
        connection: the cluster.
        entities: shared topic → its entity's views.
        positions: offset that live work reads next, by input partition; kept up to date by the loop.
    """

    def __init__(
        self, connection: Connection, entities: Mapping[str, EntityViews], positions: Mapping[Place, int]
    ) -> None:
        self._connection = connection
        self._entities = entities
        self._positions = positions
        self._memories = {place: Memory() for place in positions}
        self._routers: dict[Place, PartitionRouter] = {}
        self._scanner: Any = None
        self._scanner_at: dict[Any, int] = {}
        self.stage = Route(self._routers)

    async def recall(self) -> None:
        """Read what the lane's last owner kept.

        Raises:
            BrokerUnavailableError: it cannot be read to its end.
        """
        members = {(self._entities[topic].members_topic, number): (topic, number) for topic, number in self._memories}

        def remember(record: Any) -> None:
            self._memories[members[record.topic, record.partition]].take(record.key, record.value)

        await read_partitions(self._connection, dict.fromkeys(members, 0), remember)
        joined = {
            place: min(progress.until for progress in memory.filling.values())
            for place, memory in self._memories.items()
            if memory.filling and not self._entities[place[0]].in_order
        }

        def changed(record: Any) -> None:
            self._memories[record.topic, record.partition].changed[record.key or b""] = record.offset

        if joined:
            await read_partitions(self._connection, joined, changed)

    def adopt(self, entities: Mapping[str, EntityViews]) -> list[Output]:
        """Take up the views as they are now: those that are new join where live work stands; what to write of it."""
        before, self._entities = self._entities, entities
        made: list[Output] = []
        for place, memory in self._memories.items():
            if place in self._routers and entities[place[0]] is before[place[0]]:
                continue
            changes = memory.adopt(entities[place[0]].topic_ids, self._positions[place])
            self._routers[place] = PartitionRouter(entities[place[0]], place[1], memory)
            made += self._routers[place].kept(changes)
        return made

    @property
    def most_topics(self) -> int:
        """How many topics one batch may write to."""
        return sum(len(self._entities[topic].views) + 1 for topic in {topic for topic, _ in self._memories})

    @property
    def is_filling(self) -> bool:
        """Whether some view is not filled yet."""
        return any(memory.filling for memory in self._memories.values())

    def filled(self) -> dict[str, tuple[int, int]]:
        """Topic of a view that is not filled yet → records scanned, records to be scanned."""
        found: dict[str, tuple[int, int]] = {}
        for memory in self._memories.values():
            for topic, progress in memory.filling.items():
                done, whole = found.get(topic, (0, 0))
                found[topic] = (done + progress.next, whole + progress.until)
        return found

    async def scan(self) -> dict[Place, Sequence[InputRecord]]:
        """The next records for the views that are being filled, by partition, as far as they are at hand."""
        wanted = {
            clients.TopicPartition(*place): min(progress.next for progress in memory.filling.values())
            for place, memory in self._memories.items()
            if memory.filling
        }
        if self._scanner is None:
            self._scanner = clients.consumer(self._connection, auto_offset_reset="earliest")
            await clients.start(self._scanner, self._connection)
        if wanted != self._scanner_at:
            self._scanner.assign(list(wanted))
            for place, offset in wanted.items():
                self._scanner.seek(place, offset)
            self._scanner_at = wanted
        polled = await self._scanner.getmany(timeout_ms=0, max_records=SCAN_RECORDS)
        return {(place.topic, place.partition): records for place, records in polled.items()}

    def scanned(self, place: Place, records: Sequence[InputRecord]) -> list[Made]:
        """The outputs of scanned records of one partition.

        Raises:
            UnknownSchemaError: a writer schema is not at hand yet.
        """
        return self._routers[place].scanned(records)

    async def reached(self) -> dict[Place, int]:
        """Where the scan stands: also behind marks of transactions, and what was compacted away."""
        self._scanner_at = {place: await self._scanner.position(place) for place in self._scanner_at}
        return {(place.topic, place.partition): offset for place, offset in self._scanner_at.items()}

    def advance(self, reached: Mapping[Place, int]) -> list[Output]:
        """The scan has come to these offsets; what to write of it, and the views that are filled now are live."""
        made: list[Output] = []
        for place, offset in reached.items():
            until = self._positions[place] if self._entities[place[0]].in_order else 0
            changes = self._memories[place].advance(offset, until)
            self._routers[place].refresh()
            made += self._routers[place].kept(changes)
        return made

    async def close(self) -> None:
        """Let go of the scanner."""
        if self._scanner is not None:
            await clients.stop(self._scanner)
            self._scanner = None
