"""A transaction takes outputs as long as the broker and the worker's memory can bear them."""

from __future__ import annotations

from bus.pipeline.batch import MOST_BYTES, OutputBatch
from bus.pipeline.record import Output


def outputs(size: int, topic: str = "t") -> list[Output]:
    return [Output(topic, 0, b"k", b"v" * size, [])]


def test_a_batch_is_full_once_it_has_its_bytes() -> None:
    batch = OutputBatch()
    batch.add(outputs(MOST_BYTES // 2))

    assert batch.takes(outputs(MOST_BYTES // 4))
    assert not batch.takes(outputs(MOST_BYTES // 2))


def test_what_one_record_becomes_is_not_torn_apart() -> None:
    assert OutputBatch(most_topics=1).takes([*outputs(MOST_BYTES), *outputs(MOST_BYTES, "u")])


def test_a_batch_is_full_once_it_has_its_topics() -> None:
    batch = OutputBatch(most_topics=2)
    batch.add([*outputs(1, "a"), *outputs(1, "b")])

    assert batch.takes(outputs(1, "b"))
    assert not batch.takes(outputs(1, "c"))
