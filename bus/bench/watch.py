"""How far a consumer group has come, seen from outside: one small request, so that looking costs next to nothing."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from bus.kafka import clients

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from bus.config import Settings

    Offsets = dict[clients.TopicPartition, int]

LOOK_SECONDS: Final = 0.02
DRAIN_SECONDS: Final = 600.0


class Watch:
    """Looks at a group's offsets in one topic; see `watching`."""

    def __init__(self, reader: Any, places: list[clients.TopicPartition]) -> None:
        self._reader = reader
        self._places = places

    async def committed(self) -> Offsets:
        """The group's offsets; 0 where it has none."""
        found = await clients.committed(self._reader, self._places)
        return {place: found[place][0] if place in found else 0 for place in self._places}

    async def ends(self) -> Offsets:
        """The offsets behind the topic's last records."""
        return dict(await self._reader.end_offsets(self._places))

    async def is_through(self, ends: Offsets) -> bool:
        """Whether the group has come to these ends; the last offset of a partition is a transaction's mark."""
        return all(offset >= ends[place] - 1 for place, offset in (await self.committed()).items())

    async def until_through(self) -> None:
        """Wait until the group has come to the ends as they are now."""
        ends = await self.ends()
        await until(lambda: self.is_through(ends))


@asynccontextmanager
async def watching(settings: Settings, group: str, topic: str) -> AsyncIterator[Watch]:
    """A watch of a group that it does not join."""
    reader = clients.consumer(settings.kafka, group_id=group)
    async with clients.started(reader, settings.kafka):
        numbers = await clients.partitions(reader, topic, settings.kafka)
        yield Watch(reader, [clients.TopicPartition(topic, number) for number in sorted(numbers)])


async def until(condition: Callable[[], Awaitable[bool]], *, within: float = DRAIN_SECONDS) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: it did not come about within so many seconds.
    """
    deadline = time.monotonic() + within
    while not await condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        await asyncio.sleep(LOOK_SECONDS)
