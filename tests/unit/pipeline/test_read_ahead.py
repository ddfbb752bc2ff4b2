"""What an adapter has read and Kafka has not taken stays within a bound, of large rows too."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bus.pipeline.read_ahead import TAKEN_BYTES, WAITING_BYTES, WAITING_CHANGES, ReadAhead
from bus.spi import Batch, Change, Op

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MB = 1024 * 1024


class Source:
    """Yields batches alike, and tells how many it was asked for."""

    def __init__(self, batch: Batch, count: int) -> None:
        self.asked = 0
        self._batch, self._count = batch, count

    async def batches(self) -> AsyncIterator[Batch]:
        for _ in range(self._count):
            self.asked += 1
            yield self._batch


def batch(changes: int, size: int = 0) -> Batch:
    return Batch("u", [Change("d", Op.READ, None, {}, number) for number in range(changes)], size=size)


async def settled() -> None:
    for _ in range(2_000):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("each", "expected"),
    [(batch(100, 4 * MB), WAITING_BYTES // (4 * MB)), (batch(1_000), WAITING_CHANGES // 1_000)],
    ids=["large rows", "small ones"],
)
async def test_the_adapter_is_asked_for_no_more_than_may_wait(each: Batch, expected: int) -> None:
    source = Source(each, 100)
    ahead = ReadAhead(source.batches())
    await settled()
    assert source.asked == expected + 1, "one more is held until there is room"

    taken = await ahead.take(1_000)
    await settled()
    assert source.asked == expected + 1 + len(taken)
    await ahead.close()


async def test_of_large_rows_fewer_are_taken_at_once_and_all_come() -> None:
    source = Source(batch(10, 3 * MB), 7)
    ahead = ReadAhead(source.batches())
    await settled()
    sizes = []
    while taken := await ahead.take(1_000):
        sizes.append(len(taken))
    assert sizes == [3, 3, 1]
    assert 3 * 3 * MB >= TAKEN_BYTES > 2 * 3 * MB
    assert ahead.size == 0


async def test_a_batch_larger_than_anything_is_taken_alone() -> None:
    ahead = ReadAhead(Source(batch(1, 10 * WAITING_BYTES), 3).batches())
    assert [len(await ahead.take(1_000)) for _ in range(4)] == [1, 1, 1, 0]
