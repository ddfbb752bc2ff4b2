"""A lane takes what came while it waited for its pace together with what its consumer had at hand."""

from __future__ import annotations

from bus.pipeline.loop import FRESH_MS, MAX_RECORDS, POLL_MS, _polled


class Consumer:
    """Hands out answers one after the other, and keeps what it was asked."""

    def __init__(self, *answers: dict[str, list[int]]) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[int, int]] = []

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[str, list[int]]:
        self.asked.append((timeout_ms, max_records))
        return self._answers.pop(0)


async def test_what_came_since_is_taken_along_in_order() -> None:
    consumer = Consumer({"a": [1, 2]}, {"a": [3], "b": [1]})

    assert await _polled(consumer, POLL_MS) == {"a": [1, 2, 3], "b": [1]}
    assert consumer.asked == [(POLL_MS, MAX_RECORDS), (FRESH_MS, MAX_RECORDS - 2)]


async def test_nothing_is_not_asked_for_again() -> None:
    consumer = Consumer({})

    assert await _polled(consumer, POLL_MS) == {}
    assert consumer.asked == [(POLL_MS, MAX_RECORDS)]


async def test_a_lane_that_is_behind_takes_no_more_than_a_transaction_holds() -> None:
    consumer = Consumer({"a": [0] * MAX_RECORDS})

    assert len((await _polled(consumer, POLL_MS))["a"]) == MAX_RECORDS
    assert len(consumer.asked) == 1
