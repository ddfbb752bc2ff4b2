"""How far groups are behind on topics, and whether they move, from one look to the next."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from bus.control.tails import source_time
from bus.kafka.survey import Span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bus.kafka.survey import Glimpse, Place

EXACT: Final = 100
"""Up to so many offsets behind, records are counted; transaction marks are none."""


class Reader(NamedTuple):
    """A group that reads a topic."""

    group: str
    topic: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """How far a reader is behind.

    Attributes:
        lag: records.
        since: when the oldest of them came to the topic; None if there is none, or it could not be read in time.
        source_time: source commit time of the oldest.
        missing: partitions whose committed offset is missing, or lies before the log's start.
        unmoved: for how long no progress was seen on the partition that stands longest, seconds.
        taken: offsets that were committed since the last look.
    """

    lag: int = 0
    since: float | None = None
    source_time: float | None = None
    missing: tuple[int, ...] = ()
    unmoved: float = 0.0
    taken: int = 0


class Extents:
    """Where partitions begin and end.

    Attributes:
        starts, ends: offsets by partition.
        density: how many of a topic's offsets are records, 0.0 to 1.0 (see `bus.control.tails`).
    """

    def __init__(
        self, starts: Mapping[Place, int], ends: Mapping[Place, int], density: Mapping[str, float] | None = None
    ) -> None:
        self.starts = starts
        self.ends = ends
        self.density = density or {}
        self._of: dict[str, list[Place]] = defaultdict(list)
        for place in sorted(ends):
            self._of[place[0]].append(place)

    def of(self, topic: str) -> list[Place]:
        """The topic's partitions, in order; none if it does not exist."""
        return self._of.get(topic, [])

    def records(self, topic: str) -> int:
        """Records that the topic holds, about."""
        return self.estimate(topic, sum(self.ends[place] - self.starts.get(place, 0) for place in self.of(topic)))

    def estimate(self, topic: str, offsets: int) -> int:
        """How many of a topic's offsets are records."""
        return round(offsets * self.density.get(topic, 1.0))


class _Found(NamedTuple):
    """What stands behind a committed offset: records (None: not counted), when the first came, its source time."""

    records: int | None
    since: float | None
    source_time: float | None


@dataclass(slots=True)
class _Moved:
    offset: int
    at: float


@dataclass(slots=True)
class Backlogs:
    """Of all readers that are looked at."""

    _moved: dict[tuple[str, Place], _Moved] = field(default_factory=dict)
    _found: dict[tuple[Place, int, int], _Found] = field(default_factory=dict)

    def questions(
        self, committed: Mapping[Reader, Mapping[Place, int]], ends: Mapping[Place, int]
    ) -> list[dict[Place, Span]]:
        """What to read, in turns: in each a partition at most once.

        Args:
            committed: offset by partition of the reader's topic; those without are left out.
            ends: of all partitions.
        """
        turns: list[dict[Place, Span]] = []
        for offsets in committed.values():
            for place, offset in offsets.items():
                end = ends.get(place, 0)
                if offset >= end or (place, offset, end) in self._found:
                    continue
                span = Span(offset, end, EXACT if end - offset <= EXACT else 1)
                turn = next((turn for turn in turns if turn.get(place, span) == span), None)
                if turn is None:
                    turns.append({place: span})
                else:
                    turn[place] = span
        return turns

    def learn(self, turn: Mapping[Place, Span], glimpses: Mapping[Place, Glimpse]) -> None:
        """What was read of a turn."""
        for place, glimpse in glimpses.items():
            if (span := turn.get(place)) is not None:
                first = glimpse.records[0] if glimpse.records else None
                count = len(glimpse.records) if glimpse.whole else None
                since = None if first is None else first.timestamp / 1000
                self._found[place, span.start, span.end] = _Found(count, since, first and source_time(first))

    def take(
        self, committed: Mapping[Reader, Mapping[Place, int]], extents: Extents, now: float
    ) -> dict[Reader, Backlog]:
        """Each reader's backlog.

        Args:
            committed: as of `questions`.
            extents: of all partitions.
            now: seconds of a clock that never goes back.
        """
        found = {reader: self._backlog(reader, offsets, extents, now) for reader, offsets in committed.items()}
        current = {
            (place, offset, extents.ends.get(place, 0))
            for offsets in committed.values()
            for place, offset in offsets.items()
        }
        self._found = {key: each for key, each in self._found.items() if key in current}
        return found

    def _backlog(self, reader: Reader, offsets: Mapping[Place, int], extents: Extents, now: float) -> Backlog:
        missing, behind, lag, taken, unmoved = list[int](), list[_Found](), 0, 0, 0.0
        for place in extents.of(reader.topic):
            offset = offsets.get(place)
            if offset is None or offset < extents.starts.get(place, 0):
                missing.append(place[1])
                continue
            some = self._found.get((place, offset, extents.ends[place]), _Found(None, None, None))
            records = some.records
            if records is None:
                records = extents.estimate(reader.topic, max(0, extents.ends[place] - offset))
            before = self._moved.get((reader.group, place))
            if before is None or before.offset != offset or not records:
                taken += max(0, offset - before.offset) if before is not None else 0
                self._moved[reader.group, place] = before = _Moved(offset, now)
            if records:
                lag += records
                behind.append(some)
                unmoved = max(unmoved, now - before.at)
        return Backlog(
            lag=lag,
            since=_oldest([each.since for each in behind]),
            source_time=_oldest([each.source_time for each in behind]),
            missing=tuple(missing),
            unmoved=unmoved,
            taken=taken,
        )


def _oldest(times: Sequence[float | None]) -> float | None:
    return min((each for each in times if each is not None), default=None)
