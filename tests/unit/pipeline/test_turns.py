"""Batches of a transaction are handed to the client in turns, a partition's in their order."""

from __future__ import annotations

from bus.pipeline.transaction import _in_turns


def test_each_partition_has_its_first_batch_before_any_has_its_second() -> None:
    shared, letters, rejects = ("shared.person", 3), ("dlq.gongan.population", 0), ("_bus.rejects.gongan", 3)
    ready = [(shared, "a"), (shared, "b"), (shared, "c"), (letters, "d"), (letters, "e"), (rejects, "f")]

    assert _in_turns(ready) == [
        *[(shared, "a"), (letters, "d"), (rejects, "f")],
        *[(shared, "b"), (letters, "e")],
        (shared, "c"),
    ]
