"""Batches that an adapter has read and Kafka has not yet taken: bounded, so that the source waits."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bus.spi import Batch

WAITING_CHANGES: Final = 20_000
WAITING_BYTES: Final = 32 * 1024 * 1024
"""Beyond either the adapter is not asked for more. Of rows of 100 KB, 20,000 changes would be 4 GB."""

TAKEN_BYTES: Final = 8 * 1024 * 1024
"""What is taken at once at most, give or take a batch."""


class ReadAhead:
    """Reads an adapter's batches in a task of its own, while transactions are under way."""

    def __init__(self, batches: AsyncIterator[Batch]) -> None:
        self._batches = batches
        self._waiting: deque[Batch] = deque()
        self._size = 0
        self._bytes = 0
        self._filled, self._taken = asyncio.Event(), asyncio.Event()  # one each: who waits clears what it waits for
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async for batch in self._batches:
                while self._size >= WAITING_CHANGES or self._bytes >= WAITING_BYTES:
                    self._taken.clear()
                    await self._taken.wait()
                self._waiting.append(batch)
                self._size += _weight(batch)
                self._bytes += batch.size
                self._filled.set()
        finally:
            if isinstance(self._batches, AsyncGenerator):  # so that the source is let go of now, not some time later
                await self._batches.aclose()

    @property
    def size(self) -> int:
        """Changes that wait."""
        return self._size

    async def take(self, most: int) -> list[Batch]:
        """The batches that are there, at least one, of about `most` changes or fewer large ones; empty at the end.

        Raises:
            BusError: what the adapter raised.
        """
        while not self._waiting:
            if self._reading.done():
                self._reading.result()
                return []
            self._filled.clear()
            filled = asyncio.ensure_future(self._filled.wait())
            await asyncio.wait([filled, self._reading], return_when=asyncio.FIRST_COMPLETED)
            filled.cancel()
        taken, size, taken_bytes = [], 0, 0
        while self._waiting and size < most and taken_bytes < TAKEN_BYTES:
            batch = self._waiting.popleft()
            taken.append(batch)
            size += _weight(batch)
            taken_bytes += batch.size
        self._size -= size
        self._bytes -= taken_bytes
        self._taken.set()
        return taken

    async def close(self) -> None:
        """Stop reading; what was not taken is read again from the stored position."""
        self._reading.cancel()
        await asyncio.wait([self._reading])


def _weight(batch: Batch) -> int:
    """An empty batch counts too: it is a transaction of the source."""
    return max(1, len(batch.changes))
