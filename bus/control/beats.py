"""The heartbeats of adapters and workers, as an onlooker hears them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from bus import wire
from bus.catalogue.topics import HEALTH_TOPIC
from bus.kafka.survey import Span
from bus.pipeline.heartbeat import AdapterBeat, Beat, WorkerBeat, adapter_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from bus.kafka.survey import Glimpse, Place, Survey

BeatT = TypeVar("BeatT", bound=Beat)

BACK_SECONDS: Final = 30.0
"""So far back an onlooker begins; whom it does not hear of then, it looks for in all that is kept."""

MOST: Final = 5_000
"""Records of one look."""

FIRST_SECONDS: Final = 5.0
"""How long the first look may take."""


@dataclass(frozen=True, slots=True)
class Heard(Generic[BeatT]):
    """A heartbeat, and when it was written by the onlooker's clock (seconds since 1970)."""

    beat: BeatT
    at: float

    def here(self, moment: float) -> float:
        """A moment of the sender's clock by the onlooker's."""
        return moment + self.at - self.beat.time


class Beats:
    """What was heard so far.

    Attributes:
        adapters: by name of the instance.
        workers: by name.
    """

    def __init__(self) -> None:
        self.adapters: dict[str, Heard[AdapterBeat]] = {}
        self.workers: dict[str, Heard[WorkerBeat]] = {}
        self._read: dict[Place, int] = {}
        self._looked = 0.0

    async def listen(self, survey: Survey, expected: Mapping[str, Collection[str]], ends: Mapping[Place, int]) -> None:
        """Take in what came since the last time.

        Args:
            survey: the cluster.
            expected: department → its adapters.
            ends: of the topics' partitions; those of others are overlooked.

        Raises:
            BrokerUnavailableError: no broker answers.
        """
        places = {
            place: end
            for place, end in ends.items()
            if place[0] == HEALTH_TOPIC or place[0] in map(wire.positions_topic, expected)
        }
        if new := places.keys() - self._read.keys():
            await self._begin(survey, new, expected, places)
        now = time.time()
        spans = {place: Span(self._read[place], end, MOST) for place, end in places.items()}
        self._take(await survey.peek(spans), now)
        self._looked = now

    async def _begin(
        self, survey: Survey, new: Collection[Place], expected: Mapping[str, Collection[str]], ends: Mapping[Place, int]
    ) -> None:
        recent = await survey.at(new, time.time() - BACK_SECONDS)
        for place in new:
            self._read[place] = ends[place] if recent[place] is None else recent[place] or 0
        await self._read_up(survey, {place: ends[place] for place in new})
        silent = {
            place
            for place in new
            for department, adapters in expected.items()
            if place[0] == wire.positions_topic(department) and not self.adapters.keys() >= set(adapters)
        } | {place for place in new if place[0] == HEALTH_TOPIC and not self.workers}
        if silent:
            self._read.update(await survey.starts(silent))
            await self._read_up(survey, {place: ends[place] for place in silent})

    async def _read_up(self, survey: Survey, ends: Mapping[Place, int]) -> None:
        deadline = time.monotonic() + FIRST_SECONDS
        left = dict(ends)
        while left and time.monotonic() < deadline:
            spans = {place: Span(self._read[place], end, MOST) for place, end in left.items()}
            self._take(await survey.peek(spans), time.time())
            left = {place: end for place, end in left.items() if self._read[place] < end}

    def _take(self, glimpses: Mapping[Place, Glimpse], now: float) -> None:
        for place, glimpse in glimpses.items():
            for record in glimpse.records:
                self._hear(record, now)
                self._read[place] = record.offset + 1

    def _hear(self, record: Any, now: float) -> None:
        # The sender's clock may be wrong; but the record came after the last look, and has come by now.
        at = min(max(record.timestamp / 1000, self._looked), now)
        key = (record.key or b"").decode("utf-8", "replace")
        if record.topic == HEALTH_TOPIC:
            if record.value is not None and (worker := WorkerBeat.decode(record.value)):
                self.workers[worker.worker] = Heard(worker, at)
        elif (name := adapter_of(key)) and record.value is not None and (adapter := AdapterBeat.decode(record.value)):
            self.adapters[name] = Heard(adapter, at)
