"""Batches that an adapter has read and Kafka has not yet taken: bounded by their changes, so that the source waits."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bus.spi import Batch

WAITING_CHANGES: Final = 20_000
"""Beyond that the adapter is not asked for more."""


class ReadAhead:
    """Reads an adapter's batches in a task of its own, while transactions are under way."""

    def __init__(self, batches: AsyncIterator[Batch]) -> None:
        self._batches = batches
        self._waiting: deque[Batch] = deque()
        self._size = 0
        self._changed = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async for batch in self._batches:
                while self._size >= WAITING_CHANGES:
                    self._changed.clear()
                    await self._changed.wait()
                self._waiting.append(batch)
                self._size += _weight(batch)
                self._changed.set()
        finally:
            if isinstance(self._batches, AsyncGenerator):  # so that the source is let go of now, not some time later
                await self._batches.aclose()

    @property
    def size(self) -> int:
        """Changes that wait."""
        return self._size

    async def take(self, most: int) -> list[Batch]:
        """The batches that are there, at least one, of about `most` changes; empty when the adapter has ended.

        Raises:
            BusError: what the adapter raised.
        """
        while not self._waiting:
            if self._reading.done():
                self._reading.result()
                return []
            self._changed.clear()
            changed = asyncio.ensure_future(self._changed.wait())
            await asyncio.wait([changed, self._reading], return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
        taken, size = [], 0
        while self._waiting and size < most:
            batch = self._waiting.popleft()
            taken.append(batch)
            size += _weight(batch)
        self._size -= size
        self._changed.set()
        return taken

    async def close(self) -> None:
        """Stop reading; what was not taken is read again from the stored position."""
        self._reading.cancel()
        await asyncio.wait([self._reading])


def _weight(batch: Batch) -> int:
    """An empty batch counts too: it is a transaction of the source."""
    return max(1, len(batch.changes))
