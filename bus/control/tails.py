"""What comes in on topics: how many records, and how old the newest one is, from one look to the next.

Up to `EXACT` new records of a partition are read and counted. Of more, only the newest are read; the rest is estimated
from the offsets, among which every transaction has left a mark: by how many of the offsets that were read are records.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bus import wire
from bus.kafka.survey import Span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bus.kafka.survey import Glimpse, Place

EXACT: Final = 100
REMEMBERED: Final = 1_000
"""Offsets that were read, of the latest, by which a topic's marks are estimated; all of a small topic's."""

NEWEST: Final = 50
"""Offsets before the end where the newest record is looked for: the last one may be a transaction's mark."""


@dataclass(frozen=True, slots=True)
class Tail:
    """A topic's.

    Attributes:
        come: records since the last look.
        newest: source commit time of the newest record, seconds since 1970; None as long as none was seen.
        latency: seconds from there to its being written to this topic.
        density: how many of its newest offsets are records, 0.0 to 1.0; the others are marks of transactions.
    """

    come: int = 0
    newest: float | None = None
    latency: float | None = None
    density: float = 1.0


def source_time(record: Any) -> float | None:
    """Source commit time of a record (`ce_time`), seconds since 1970; None if it has none."""
    try:
        return wire.micros(wire.header_texts(record.headers).get("ce_time", "")) / 1e6
    except (ValueError, TypeError):
        return None


@dataclass(slots=True)
class Tails:
    """Of all topics that are looked at."""

    _ends: dict[Place, int] = field(default_factory=dict)
    _newest: dict[str, tuple[float, float]] = field(default_factory=dict)
    _measured: dict[str, tuple[float, float]] = field(default_factory=dict)

    def spans(self, ends: Mapping[Place, int]) -> dict[Place, Span]:
        """What to read, given where partitions end now."""
        found = {}
        for place, end in ends.items():
            before = self._ends.get(place)
            if before is not None and before <= end <= before + EXACT:
                found[place] = Span(before, end, EXACT)
            else:
                found[place] = Span(max(0, end - NEWEST), end, NEWEST)
        return {place: span for place, span in found.items() if span.start < span.end}

    def take(
        self, ends: Mapping[Place, int], spans: Mapping[Place, Span], glimpses: Mapping[Place, Glimpse]
    ) -> dict[str, Tail]:
        """Each topic's tail, given what was to be read and what was read."""
        read = {place: glimpses[place] for place in spans.keys() & glimpses.keys()}
        for topic, (records, offsets) in _sums(spans, read).items():
            before_records, before_offsets = self._measured.get(topic, (0.0, 0.0))
            kept = 1.0 if before_offsets <= REMEMBERED else REMEMBERED / before_offsets
            self._measured[topic] = before_records * kept + records, before_offsets * kept + offsets
        come: dict[str, float] = defaultdict(float)
        for place, end in ends.items():
            topic, before = place[0], self._ends.get(place)
            if place in read:
                self._note(topic, read[place].records)
            if before is not None and before <= end:
                exact = place in read and spans[place].start == before
                come[topic] += len(read[place].records) if exact else (end - before) * self._density(topic)
        self._ends = dict(ends)
        return {topic: self._tail(topic, round(come[topic])) for topic in {topic for topic, _ in ends}}

    def _tail(self, topic: str, come: int) -> Tail:
        newest, latency = self._newest.get(topic, (None, None))
        return Tail(come, newest, latency, self._density(topic))

    def _density(self, topic: str) -> float:
        records, offsets = self._measured.get(topic, (1.0, 1.0))
        return records / offsets

    def _note(self, topic: str, records: list[Any]) -> None:
        for record in records:
            at = source_time(record)
            if at is not None and at >= self._newest.get(topic, (0.0, 0.0))[0]:
                self._newest[topic] = at, max(0.0, record.timestamp / 1000 - at)


def _sums(spans: Mapping[Place, Span], read: Mapping[Place, Glimpse]) -> dict[str, tuple[int, int]]:
    """Records and offsets that were read whole, by topic."""
    sums: dict[str, tuple[int, int]] = {}
    for place, glimpse in read.items():
        if glimpse.whole:
            records, offsets = sums.get(place[0], (0, 0))
            sums[place[0]] = records + len(glimpse.records), offsets + spans[place].end - spans[place].start
    return sums
