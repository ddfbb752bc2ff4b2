"""Changes that are told by tuples of values are the changes that they tell."""

from __future__ import annotations

import pytest

from bus.spi import Change, Op, RowChanges

FIELDS = ("id", "name")
TOLD = RowChanges("t", FIELDS, [("c", None, None, 1, "a"), ("u", 1, "a", 1, "b"), ("d", 1, "b", None, None)], 5)
CHANGES = [
    Change("t", Op.CREATE, None, {"id": 1, "name": "a"}, 5),
    Change("t", Op.UPDATE, {"id": 1, "name": "a"}, {"id": 1, "name": "b"}, 6),
    Change("t", Op.DELETE, {"id": 1, "name": "b"}, None, 7),
]


def test_they_are_a_sequence_of_changes() -> None:
    assert list(TOLD) == CHANGES
    assert (len(TOLD), TOLD[0], TOLD[-1], TOLD[1:]) == (3, CHANGES[0], CHANGES[-1], CHANGES[1:])
    with pytest.raises(IndexError):
        TOLD[3]


def test_rows_of_one_kind_need_no_symbols() -> None:
    assert list(RowChanges("t", FIELDS, [(1, "a")], 1, Op.READ)) == [
        Change("t", Op.READ, None, {"id": 1, "name": "a"}, 1)
    ]


def test_a_tuple_of_another_length_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="zip"):
        list(RowChanges("t", FIELDS, [(1,)], 1, Op.READ))
