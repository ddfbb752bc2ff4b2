"""Counts the records of each stage, and the rejects by reason: an operator's look at the topics themselves."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import TYPE_CHECKING

from bus import wire
from bus.kafka import clients

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bus.config import Settings


class Observer:
    """What passed each stage so far.

    Args:
        settings: the cluster.
        datasets: which.

    Attributes:
        raw, rejected: records by dataset.
        reasons: rejects by dataset, field and reason.
    """

    def __init__(self, settings: Settings, datasets: Iterable[str]) -> None:
        self.raw: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self.reasons: Counter[tuple[str, str, str]] = Counter()
        self._settings = settings
        self._datasets = {name: dataset for dataset in datasets for name in _topics(dataset)}
        self._recent: deque[tuple[float, int]] = deque(maxlen=50)

    async def watch(self) -> None:
        """Count until cancelled."""
        reader = clients.consumer(self._settings.kafka, auto_offset_reset="earliest")
        async with clients.started(reader, self._settings.kafka):
            places = []
            for topic in self._datasets:
                numbers = await clients.partitions(reader, topic, self._settings.kafka)
                places += [clients.TopicPartition(topic, number) for number in numbers]
            reader.assign(places)
            while True:
                for place, records in (await reader.getmany(timeout_ms=250)).items():
                    dataset = self._datasets[place.topic]
                    if place.topic.startswith("raw."):
                        self.raw[dataset] += len(records)
                    else:
                        self.rejected[dataset] += len(records)
                        self.reasons.update((dataset, *_why(record.headers)) for record in records)

    def rate(self) -> float:
        """Raw changes a second, over the last few seconds."""
        now, count = time.monotonic(), self.raw.total()
        self._recent.append((now, count))
        then, before = self._recent[0]
        return (count - before) / (now - then) if now > then else 0.0


def _topics(dataset: str) -> tuple[str, str]:
    return wire.raw_topic(dataset), wire.dlq_topic(dataset)


def _why(headers: list[tuple[str, bytes]]) -> tuple[str, str]:
    found = wire.header_texts(headers)
    return found.get("bus_reject_field", ""), found.get("bus_reject_reason", "")
