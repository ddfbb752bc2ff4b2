"""Counts the records of each stage, and the rejects by reason: an operator's look at the topics themselves."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Final

from bus.kafka import clients

if TYPE_CHECKING:
    from bus.config import Settings

STAGES: Final = {
    "raw.gongan.population": "raw",
    "shared.population.person": "shared",
    "dlq.gongan.population": "rejected",
}


class Observer:
    """What passed each stage so far."""

    def __init__(self, settings: Settings) -> None:
        self.counts: Counter[str] = Counter()
        self.rejects: Counter[tuple[str, str]] = Counter()
        self._settings = settings
        self._recent: deque[tuple[float, int]] = deque(maxlen=50)

    async def watch(self) -> None:
        """Count until cancelled."""
        reader = clients.consumer(self._settings.kafka, auto_offset_reset="earliest")
        async with clients.started(reader, self._settings.kafka):
            places = []
            for topic in STAGES:
                numbers = await clients.partitions(reader, topic, self._settings.kafka)
                places += [clients.TopicPartition(topic, number) for number in numbers]
            reader.assign(places)
            while True:
                for place, records in (await reader.getmany(timeout_ms=250)).items():
                    stage = STAGES[place.topic]
                    self.counts[stage] += len(records)
                    if stage == "rejected":
                        self.rejects.update(_why(record.headers) for record in records)

    def rate(self) -> float:
        """Raw changes a second, over the last few seconds."""
        now = time.monotonic()
        self._recent.append((now, self.counts["raw"]))
        then, before = self._recent[0]
        return (self.counts["raw"] - before) / (now - then) if now > then else 0.0


def _why(headers: list[tuple[str, bytes]]) -> tuple[str, str]:
    found = {name: text.decode() for name, text in headers}
    return found.get("bus_reject_field", ""), found.get("bus_reject_reason", "")
