"""A transaction writes to so many topics and no more; what one record becomes stays together."""

from __future__ import annotations

from bus.pipeline.batch import OutputBatch
from bus.pipeline.record import Output


def outputs(*topics: str) -> list[Output]:
    return [Output(topic, 0, b"k", None, []) for topic in topics]


def test_a_batch_takes_outputs_until_it_has_too_many_topics() -> None:
    batch = OutputBatch(3)
    batch.add(outputs("a", "b"))

    assert batch.takes(outputs("b", "c"))
    assert not batch.takes(outputs("c", "d"))
    batch.add(outputs("c"))
    assert batch.takes(outputs("a", "b", "c"))
    assert not batch.takes(outputs("d"))


def test_one_record_in_more_views_than_that_is_still_one_transaction() -> None:
    assert OutputBatch(3).takes(outputs(*"abcdef"))


def test_where_there_cannot_be_too_many_topics_nobody_counts() -> None:
    batch = OutputBatch()
    batch.add(outputs(*"abc"))
    assert batch.takes(outputs(*"defghi"))
