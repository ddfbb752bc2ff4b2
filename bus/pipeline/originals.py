"""Rejected records read again: on raw where they stood, or, where raw has let go of them, from the dead letters."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bus import wire
from bus.errors import BrokerUnavailableError
from bus.kafka import clients, record_batches
from bus.pipeline.dlq import LEFT_OUT, PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bus.config import Connection
    from bus.pipeline.record import InputRecord

    Place = tuple[str, int]

NEAR: Final = 2_000
"""Records between two that are wanted that are rather read than sought over."""

FETCH_BYTES: Final = 256 * 1024

LETTER_MS: Final = 60_000
"""The dead letter of a record is written within so long after the record was rejected."""

WITHIN: Final = 15.0


class Original(NamedTuple):
    """A record as it stood on raw, made of its dead letter."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[wire.Header]


class Originals:
    """Reads them, with clients of its own that are started when they are first needed.

    Every method raises BrokerUnavailableError when the broker does not answer.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._reader: Any = None
        self._letter_reader: Any = None
        self._end_reader: Any = None

    async def close(self) -> None:
        """Let go of the clients."""
        for client in (self._reader, self._letter_reader, self._end_reader):
            if client is not None:
                await clients.stop(client)
        self._reader = self._letter_reader = self._end_reader = None

    async def read(self, place: Place, times: Mapping[int, int]) -> dict[int, InputRecord]:
        """The records of one partition of raw that are still to be had, by offset.

        Args:
            place: topic and partition.
            times: offset → when it was rejected, milliseconds since 1970.
        """
        await self._start()
        try:
            found = await self._from_raw(clients.TopicPartition(*place), sorted(times))
            missing = {offset: moment for offset, moment in times.items() if offset not in found}
            return found | (await self._from_letters(place, missing) if missing else {})
        except clients.KafkaError as error:
            raise BrokerUnavailableError(type(error).__name__, where=f"{place[0]}/{place[1]}") from None

    async def _start(self) -> None:
        if self._reader is None:
            settings = {"auto_offset_reset": "earliest", "max_partition_fetch_bytes": FETCH_BYTES}
            self._reader = clients.consumer(self._connection, **settings, **record_batches.fetching())
            self._letter_reader = clients.consumer(self._connection, **settings)
            self._end_reader = clients.consumer(self._connection, isolation_level="read_uncommitted")
            for client in (self._reader, self._letter_reader, self._end_reader):
                await clients.start(client, self._connection)

    async def _from_raw(self, place: Any, offsets: Sequence[int]) -> dict[int, InputRecord]:
        self._reader.assign([place])
        start = (await self._reader.beginning_offsets([place]))[place]
        wanted = [offset for offset in offsets if offset >= start]
        found: dict[int, InputRecord] = {}
        at = -1
        while wanted:
            if not at <= wanted[0] <= at + NEAR or at < 0:
                self._reader.seek(place, wanted[0])
            named = set(wanted)
            at = await self._read_on(self._reader, place, lambda record: _keep(record, named, found))  # noqa: B023  called at once
            wanted = [offset for offset in wanted if offset >= at]
        return found

    async def _from_letters(self, place: Place, times: Mapping[int, int]) -> dict[int, InputRecord]:
        """Those that have a dead letter, from about when they were rejected on."""
        topic = wire.dlq_topic(place[0].removeprefix("raw."))
        letters = clients.TopicPartition(topic, 0)
        start = (await self._letter_reader.offsets_for_times({letters: min(times.values())}))[letters]
        if start is None:
            return {}
        await clients.partitions(self._end_reader, topic, self._connection)
        end = (await self._end_reader.end_offsets([letters]))[letters]
        self._letter_reader.assign([letters])
        self._letter_reader.seek(letters, start.offset)
        latest = max(times.values()) + LETTER_MS
        origins = {f"{place[0]}/{place[1]}/{offset}".encode(): offset for offset in times}
        found: dict[int, InputRecord] = {}
        past = False

        def take(record: Any) -> None:
            nonlocal past
            past = past or record.timestamp > latest
            told = dict(record.headers)
            offset = origins.get(told.get(f"{PREFIX}origin", b""))
            if offset is not None and LEFT_OUT not in told:
                kept = [(name, value) for name, value in record.headers if not name.startswith(PREFIX)]
                found.setdefault(offset, Original(*place, offset, record.key, record.value, kept))

        at = start.offset
        while at < end and not past and len(found) < len(times):
            at = await self._read_on(self._letter_reader, letters, take)
        return found

    @staticmethod
    async def _read_on(reader: Any, place: Any, take: Callable[[Any], None]) -> int:
        """Hand on the next records, marks of transactions left out; the offset behind them."""
        before = await reader.position(place)
        deadline = time.monotonic() + WITHIN
        while time.monotonic() < deadline:
            for record in record_batches.records_of((await reader.getmany(place, timeout_ms=200)).get(place, ())):
                take(record)
            at: int = await reader.position(place)
            if at > before:
                return at
        raise BrokerUnavailableError("no record came", where=f"{place.topic}/{place.partition}/{before}")


def _keep(record: Any, named: set[int], found: dict[int, InputRecord]) -> None:
    if record.offset in named:
        found[record.offset] = record
