"""A lane takes what came while it waited for its pace together with what its consumer had at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from bus.kafka import record_batches
from bus.pipeline.loop import ANSWER_MS, FRESH_MS, MAX_RECORDS, POLL_MS, _polled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Consumer:
    """Hands out answers one after the other, and keeps what it was asked."""

    def __init__(self, *answers: Mapping[str, Sequence[Any]]) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[int, int | None]] = []

    async def getmany(self, *, timeout_ms: int, max_records: int | None) -> Mapping[str, Sequence[Any]]:
        self.asked.append((timeout_ms, max_records))
        return self._answers.pop(0)


async def polled(consumer: Consumer, partitions: int = 2) -> tuple[dict[str, list[Any]], bool]:
    """What was polled, one by one; and whether it had to be waited for."""
    answer, had_to_wait = await _polled(consumer, POLL_MS, partitions)
    found = {place: [each for some in fetched for each in cast("Any", some)] for place, fetched in answer.items()}
    return found, had_to_wait


@pytest.fixture
def in_batches(codec: str) -> bool:
    """Whether the consumer gives lists of records, or lists of batches of them."""
    return codec == "compiled" and record_batches.IS_USABLE


def some(in_batches: bool, *records: int) -> Sequence[Any]:
    return [list(records)] if in_batches else list(records)


async def test_what_came_since_is_taken_along_in_order(in_batches: bool) -> None:
    consumer = Consumer({"a": some(in_batches, 1, 2)}, {"a": some(in_batches, 3), "b": some(in_batches, 1)})

    assert await polled(consumer) == ({"a": [1, 2, 3], "b": [1]}, False)
    rooms = (None, None) if in_batches else (MAX_RECORDS, MAX_RECORDS - 2)
    assert consumer.asked == [(0, rooms[0]), (ANSWER_MS, rooms[1])]


async def test_what_was_waited_for_is_new_but_other_partitions_may_have_more(in_batches: bool) -> None:
    consumer = Consumer({}, {"a": some(in_batches, 1)}, {"b": some(in_batches, 1)})

    assert await polled(consumer) == ({"a": [1], "b": [1]}, True)
    assert [timeout for timeout, _ in consumer.asked] == [0, POLL_MS, FRESH_MS]


async def test_the_only_partition_has_no_more_than_what_was_waited_for(in_batches: bool) -> None:
    consumer = Consumer({}, {"a": some(in_batches, 1)})

    assert await polled(consumer, partitions=1) == ({"a": [1]}, True)


@pytest.mark.usefixtures("codec")
async def test_nothing_is_not_asked_for_again() -> None:
    consumer = Consumer({}, {})

    assert await polled(consumer) == ({}, True)
    assert [timeout for timeout, _ in consumer.asked] == [0, POLL_MS]


async def test_a_lane_that_is_behind_takes_no_more_than_a_transaction_holds(in_batches: bool) -> None:
    consumer = Consumer({"a": some(in_batches, *[0] * MAX_RECORDS)})

    records, _ = await polled(consumer)

    assert len(records["a"]) == MAX_RECORDS
    assert len(consumer.asked) == 1
