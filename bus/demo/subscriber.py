"""A subscriber of the demo, as a subscribing system would write it, that also watches for mistakes."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

import bus
from bus.demo.views import PSEUDONYM, SNAPSHOT
from bus.wire import micros

if TYPE_CHECKING:
    from bus.config import Settings
    from bus.demo.views import DemoView
    from bus.subscriber import Record, Records

LATENCIES_KEPT: Final = 200_000
COMMIT_SECONDS: Final = 1.0


class DemoSubscriber:
    """Keeps the records it was told of, and counts what must never happen.

    Attributes:
        view: what it is subscribed to.
        state: the latest record by key.
        received: records, tombstones too.
        leaked: records that show more than the subscriber is entitled to, tombstones that tell of others' keys.
        out_of_order: records older than one of the same key before.
        doubled: records that came twice.
        latencies: seconds from the source's commit to here, of changes after the snapshot; of its rows too where
            `view.place` does not tell them apart.
    """

    def __init__(self, view: DemoView, settings: Settings) -> None:
        self.view = view
        self.state: dict[str, dict[str, Any]] = {}
        self.received = 0
        self.leaked = 0
        self.out_of_order = 0
        self.doubled = 0
        self.latencies: list[float] = []
        self._settings = settings
        self._last: dict[str, tuple[int, ...]] = {}
        self._seen: set[tuple[str, str]] = set()

    async def listen(self) -> None:
        """Take records until cancelled; how far it is, it tells once a second."""
        newest: dict[int, Record] = {}
        async with bus.subscribe(self.view.topic, self.view.group, settings=self._settings, reload=True) as records:
            telling = asyncio.create_task(_commit(records, newest))
            try:
                async for record in records:
                    self.take(record, time.time())
                    newest[record.partition] = record
            finally:
                telling.cancel()
                await asyncio.gather(telling, return_exceptions=True)

    def take(self, record: Record, now: float) -> None:
        """Take one record in."""
        self.received += 1
        if record.value is None:
            self.leaked += self.view.is_filtered and record.key not in self._last
            self.state.pop(record.key, None)
        else:
            self.state[record.key] = record.value
            self.leaked += self.view.leaks(record.key, record.value)
        if self.view.is_pseudonymised:
            self.leaked += not all(PSEUDONYM.fullmatch(shown) for shown in (record.key, record.event.id))
        place = self.view.place(record.event)
        self._check_order(record, place)
        if place > SNAPSHOT:
            self.latencies.append(now - micros(record.event.time) / 1e6)
            del self.latencies[:-LATENCIES_KEPT]

    def _check_order(self, record: Record, place: tuple[int, ...]) -> None:
        identity = (record.event.id, record.key)
        self.doubled += identity in self._seen
        self._seen.add(identity)
        self.out_of_order += place < self._last.get(record.key, place)
        self._last[record.key] = place


async def _commit(records: Records, newest: dict[int, Record]) -> None:
    """Move the group's cursor behind the newest record of each partition, once a second."""
    while True:
        await asyncio.sleep(COMMIT_SECONDS)
        for partition in list(newest):
            await records.commit(newest.pop(partition))


def percentile(values: list[float], share: float) -> float:
    """The value below which that share of the values lies; 0 if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
