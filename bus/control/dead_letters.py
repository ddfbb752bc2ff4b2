"""The latest rejects in the dead letters, as an onlooker reads them: headers only, never a key or a value."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from bus import wire
from bus.control.health import LatestReject
from bus.kafka.survey import Span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bus.kafka.survey import Glimpse, Place

SHOWN: Final = 50
AT_ONCE: Final = 2_000
"""Records of one reading; at the first, the newest that there are."""

_TOPIC: Final = "dlq."


class DeadLetters:
    """What was read so far."""

    def __init__(self) -> None:
        self._read: dict[Place, int] = {}
        self._starts: dict[Place, int] = {}
        self._latest: dict[str, deque[LatestReject]] = {}

    @property
    def latest(self) -> tuple[LatestReject, ...]:
        """The latest rejects of all datasets, newest first."""
        every = [reject for rejects in self._latest.values() for reject in rejects]
        return tuple(sorted(every, key=lambda reject: reject.time, reverse=True)[:SHOWN])

    def spans(self, starts: Mapping[Place, int], ends: Mapping[Place, int]) -> dict[Place, Span]:
        """What to read of the dead letters among these partitions, given where they begin and end now."""
        found = {}
        for place, end in ends.items():
            dataset = place[0].removeprefix(_TOPIC)
            if not place[0].startswith(_TOPIC):
                continue
            start = starts.get(place, 0)
            if place not in self._read or self._starts[place] != start or self._read[place] > end:
                self._starts[place] = start
                self._read[place] = max(start, end - AT_ONCE)
                self._latest[dataset] = deque(maxlen=SHOWN)
            if self._read[place] < end:
                found[place] = Span(self._read[place], end, AT_ONCE)
        return found

    def take(self, ends: Mapping[Place, int], glimpses: Mapping[Place, Glimpse]) -> None:
        """Take in what was read."""
        for place, glimpse in glimpses.items():
            if not place[0].startswith(_TOPIC):
                continue
            dataset = place[0].removeprefix(_TOPIC)
            self._latest[dataset].extend(_reject(dataset, record) for record in glimpse.records)
            if glimpse.whole:
                self._read[place] = ends[place]
            elif glimpse.records:
                self._read[place] = glimpse.records[-1].offset + 1


def _reject(dataset: str, record: Any) -> LatestReject:
    told = wire.header_texts(record.headers)
    return LatestReject(
        time=record.timestamp / 1000,
        dataset=dataset,
        stage=told.get("bus_reject_stage", ""),
        rule=told.get("bus_reject_rule", ""),
        field=told.get("bus_reject_field", ""),
        reason=told.get("bus_reject_reason", ""),
        where=told.get("bus_reject_origin", ""),
        offset=record.offset,
    )
