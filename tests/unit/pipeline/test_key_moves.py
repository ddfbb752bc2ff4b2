"""Key changes, example by example."""

from __future__ import annotations

import pytest

from bus.pipeline.key_moves import KeyMoves
from bus.spi import Change, Op
from bus.wire import BadKeyError


def row(identity: int, key: str | None) -> dict[str, object]:
    return {"id": identity, "key": key}


def told(moves: KeyMoves, *changes: Change) -> list[tuple[str, bytes]]:
    out = [each for change in changes for each in moves.expand(change)] + moves.end()
    return [(each.change.op.value, each.key) for each in out]


def insert(number: int, identity: int, key: str | None) -> Change:
    return Change("t", Op.CREATE, None, row(identity, key), number)


def update(number: int, identity: int, old: str, new: str) -> Change:
    return Change("t", Op.UPDATE, row(identity, old), row(identity, new), number)


def delete(number: int, identity: int, key: str) -> Change:
    return Change("t", Op.DELETE, row(identity, key), None, number)


def test_where_keys_cannot_change_hands_a_move_is_told_at_once() -> None:
    moves = KeyMoves(("key",))

    assert [(e.change.op.value, e.key, e.released) for e in moves.expand(update(1, 1, "a", "b"))] == [
        ("d", b"a", True),
        ("c", b"b", False),
    ]


def test_a_swap_releases_both_keys_before_it_claims_them() -> None:
    swap = (update(1, 1, "a", "b"), update(2, 2, "b", "a"))

    assert told(KeyMoves(("key",), ("id",)), *swap) == [("d", b"a"), ("d", b"b"), ("c", b"b"), ("c", b"a")]


def test_a_new_row_that_comes_before_the_old_one_goes_outlives_it() -> None:
    assert told(KeyMoves(("key",), ("id",)), insert(1, 2, "a"), delete(2, 1, "a")) == [("d", b"a"), ("c", b"a")]


def test_a_claim_that_is_taken_back_leaves_the_row_that_had_the_key() -> None:
    assert told(KeyMoves(("key",), ("id",)), insert(1, 2, "a"), delete(2, 2, "a")) == []
    assert told(KeyMoves(("key",), ("id",)), insert(1, 2, "a"), update(2, 2, "a", "b")) == [("c", b"b")]


def test_a_row_that_moves_twice_is_released_once_and_claims_its_last_key() -> None:
    moved = (update(1, 1, "a", "b"), update(2, 1, "b", "c"))

    assert told(KeyMoves(("key",), ("id",)), *moved) == [("d", b"a"), ("c", b"c")]


def test_beyond_the_limit_creations_go_out_at_once_and_still_outlive_the_old_row() -> None:
    moves = KeyMoves(("key",), ("id",), most_held_back=1)
    changes = (insert(1, 10, "x"), insert(2, 2, "a"), delete(3, 1, "a"))

    assert told(moves, *changes) == [("c", b"a"), ("c", b"x")]


def test_a_key_that_is_null_cannot_be_told() -> None:
    with pytest.raises(BadKeyError):
        KeyMoves(("key",)).expand(insert(1, 1, None))
    with pytest.raises(BadKeyError):
        KeyMoves(("missing",)).expand(insert(1, 1, "a"))
    with pytest.raises(BadKeyError):
        KeyMoves(("key",)).expand(Change("t", Op.DELETE, None, None, 1))
