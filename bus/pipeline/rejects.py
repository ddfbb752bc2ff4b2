"""The rejects of a bus as an operator sees them: the dead letters, and what became of each."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from bus import wire
from bus.errors import BrokerUnavailableError
from bus.kafka import clients
from bus.pipeline.command import Answer, Selection
from bus.pipeline.dlq import PREFIX
from bus.pipeline.open_rejects import OPEN, RESERVED, SUPERSEDED, Entry, StateKey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable
    from types import TracebackType

    from bus.config import Connection
    from bus.wire import Header

AT_SOURCE: Final = "at_source"
"""State of a reject that cannot be redriven: it never was a record of raw, or has no key to be followed by."""

STATES: Final = (OPEN, SUPERSEDED, "redriven", AT_SOURCE)

WITHIN: Final = 30.0

FETCH_WAIT_MS: Final = 100
"""The broker answers a connection's requests in turn: where the end is, behind a fetch that waits for news."""


class RejectStates:
    """What became of the rejected changes of some departments, as the lanes keep it; `async with`, then `refresh`.

    Args:
        connection: the cluster.
        departments: whose.
        open_only: keep no others.

    Attributes:
        entries: the newest rejected change of each key, encoded (see `Entry`).
        answers: id of a command → lane → its answer.
    """

    def __init__(self, connection: Connection, departments: Iterable[str], *, open_only: bool = False) -> None:
        self.entries: dict[StateKey, bytes] = {}
        self.answers: dict[str, dict[int, Answer]] = {}
        self._open: Counter[str] = Counter()
        self._open_only = open_only
        self._connection = connection
        self._topics = sorted({wire.rejects_topic(department) for department in departments})
        self._reader = clients.consumer(connection, auto_offset_reset="earliest", fetch_max_wait_ms=FETCH_WAIT_MS)

    async def __aenter__(self) -> Self:
        """Start, and read everything there is.

        Raises:
            BrokerUnavailableError: the broker does not answer, or a topic is not there.
        """
        try:
            await clients.start(self._reader, self._connection)
            places = [
                clients.TopicPartition(topic, number)
                for topic in self._topics
                for number in sorted(await clients.partitions(self._reader, topic, self._connection))
            ]
            self._reader.assign(places)
            await self.refresh()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the client."""
        await self.close()

    async def close(self) -> None:
        """Let go of the client."""
        await clients.stop(self._reader)

    async def refresh(self) -> None:
        """Read on to the end of what is committed now.

        Raises:
            BrokerUnavailableError: the end was not reached in time.
        """
        async for record in _to_end(self._reader):
            self._take(record)

    async def more(self, within: float = 0.2) -> None:
        """Wait for something new, so many seconds at most, and take it in."""
        try:
            for records in (await self._reader.getmany(timeout_ms=int(within * 1000))).values():
                for record in records:
                    self._take(record)
        except clients.KafkaError as error:
            raise BrokerUnavailableError(f"rejects could not be read ({type(error).__name__})") from None

    def open_by_dataset(self) -> Counter[str]:
        """How many keys of each dataset have a rejected change that is not mended."""
        return +self._open

    def _take(self, record: Any) -> None:
        if record.key.startswith(RESERVED):
            if record.value is not None:
                lanes = self.answers.setdefault(record.key[1:].decode(), {})
                lanes[record.partition] = Answer.decode(record.value)
            return
        key = StateKey.decode(record.key)
        before = self.entries.pop(key, None)
        self._open[key.dataset] += _is_open(record.value) - _is_open(before)
        if record.value is not None and (_is_open(record.value) or not self._open_only):
            self.entries[key] = record.value


def _is_open(entry: bytes | None) -> bool:
    return entry is not None and bool(Entry.decode(entry).open)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A reject as its dead letter tells.

    Attributes:
        dataset: whose.
        offset: on `dlq.<dataset>`, partition 0.
        time: when it was rejected, milliseconds since 1970.
        stage: ingest, normalise or route.
        rule, field, reason: why; of an open reject that a redrive found another reason for, that one.
        origin: topic/partition/offset on raw, or on shared if its stage is route; empty if it never came there.
        entity: that the mapping feeds which rejected it.
        state: open, superseded, redriven or at_source.
        key, value, headers: the original's.
    """

    dataset: str
    offset: int
    time: int
    stage: str
    rule: str
    field: str
    reason: str
    origin: str
    entity: str
    state: str
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]


def dead_letter(dataset: str, record: Any, states: RejectStates) -> DeadLetter:
    """What a record of `dlq.<dataset>` tells, and what became of it."""
    headers = wire.header_texts(record.headers)
    told = {name: headers.get(PREFIX + name, "") for name in ("stage", "rule", "field", "reason", "origin", "entity")}
    state = AT_SOURCE
    partition, offset = _place_of(told["origin"], dataset)
    kept = states.entries.get(StateKey(dataset, partition, record.key or b"")) if record.key is not None else None
    if kept is not None:
        entry = Entry.decode(kept)
        verdict = next((each for each in entry.verdicts if each.entity == told["entity"]), None)
        state = SUPERSEDED
        if entry.offset == offset and verdict is not None:
            state = verdict.state
            told |= {"rule": verdict.rule, "field": verdict.field, "reason": verdict.reason or told["reason"]}
    kept_headers = tuple(each for each in record.headers if not each[0].startswith(PREFIX))
    return DeadLetter(
        dataset, record.offset, record.timestamp, **told, state=state, key=record.key, value=record.value,
        headers=kept_headers,
    )  # fmt: skip


def _place_of(origin: str, dataset: str) -> tuple[int, int]:
    """Partition and offset of an origin on a dataset's raw topic; (-1, -1) for none."""
    try:
        topic, partition, offset = origin.rsplit("/", 2)
        return (int(partition), int(offset)) if topic == wire.raw_topic(dataset) else (-1, -1)
    except ValueError:
        return -1, -1


async def dead_letters(
    connection: Connection, datasets: Collection[str], selection: Selection, states: RejectStates
) -> AsyncIterator[DeadLetter]:
    """The dead letters of some datasets that a selection means, dataset by dataset, oldest first.

    Raises:
        BrokerUnavailableError: the broker does not answer, or a topic is not there.
    """
    reader = clients.consumer(connection, auto_offset_reset="earliest", fetch_max_wait_ms=FETCH_WAIT_MS)
    async with clients.started(reader, connection):
        topics = [wire.dlq_topic(dataset) for dataset in datasets]
        clients.introduce(reader, topics)
        for topic in topics:
            await clients.partitions(reader, topic, connection)
        for dataset, place in await _with_letters(reader, datasets):
            reader.assign([place])
            if selection.since is not None:
                start = (await reader.offsets_for_times({place: selection.since}))[place]
                if start is None:
                    continue
                reader.seek(place, start.offset)
            async for record in _to_end(reader):
                if not selection.takes_time(record.timestamp) or not selection.takes_key(record.key):
                    continue
                letter = dead_letter(dataset, record, states)
                if selection.takes_why(letter.rule, letter.field):
                    yield letter


async def _with_letters(reader: Any, datasets: Collection[str]) -> list[tuple[str, Any]]:
    """The datasets that have dead letters, with their places: of hundreds most have none, and are not read."""
    places = {dataset: clients.TopicPartition(wire.dlq_topic(dataset), 0) for dataset in datasets}
    try:
        begins, ends = await reader.beginning_offsets(places.values()), await reader.end_offsets(places.values())
    except clients.KafkaError as error:
        raise BrokerUnavailableError(f"rejects could not be read ({type(error).__name__})") from None
    return [(dataset, place) for dataset, place in places.items() if begins[place] < ends[place]]


async def _to_end(reader: Any) -> AsyncIterator[Any]:
    """The records of the assigned partitions, up to the end of what is committed now."""
    try:
        ends = await reader.end_offsets(list(reader.assignment()))
        moved = time.monotonic()
        while [place for place, end in ends.items() if await reader.position(place) < end]:
            for records in (await reader.getmany(timeout_ms=200)).values():
                moved = time.monotonic()
                for record in records:
                    yield record
            if time.monotonic() > moved + WITHIN:
                raise BrokerUnavailableError("rejects could not be read to their end")
    except clients.KafkaError as error:
        raise BrokerUnavailableError(f"rejects could not be read ({type(error).__name__})") from None


@dataclass(slots=True)
class RejectCount:
    """How many rejects of a dataset there are for one reason, and when the first and the last was."""

    dataset: str
    rule: str
    field: str
    states: Counter[str]
    first: int
    last: int


class RejectCounts:
    """Dead letters counted by dataset, rule and field."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, str], RejectCount] = {}

    def add(self, letter: DeadLetter) -> None:
        """Count one."""
        why = letter.dataset, letter.rule, letter.field
        count = self._counts.get(why)
        if count is None:
            count = self._counts[why] = RejectCount(*why, Counter(), letter.time, letter.time)
        count.states[letter.state] += 1
        count.first, count.last = min(count.first, letter.time), max(count.last, letter.time)

    def sorted(self) -> list[RejectCount]:
        """By dataset; within one, the most first."""
        return sorted(
            self._counts.values(), key=lambda count: (count.dataset, -count.states.total(), count.rule, count.field)
        )
