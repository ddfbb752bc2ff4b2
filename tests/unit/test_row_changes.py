"""Changes that are told by tuples of values, or by columns, are the changes that they tell."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from bus.pipeline.position import Progress
from bus.pipeline.publication import AdapterCounts
from bus.spi import Batch, Change, ColumnChanges, Op, RowChanges
from tests.arrow_columns import columns

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


def test_columns_tell_what_their_rows_tell_and_make_these_once() -> None:
    made = []

    def values() -> list[tuple[object, ...]]:
        made.append(1)
        return TOLD.values

    array = columns(["text", "int64", "text", "int64", "text"], TOLD.values)
    told = ColumnChanges("t", FIELDS, array, len(TOLD), values, 5)
    assert len(told) == 3
    assert not made
    assert (list(told), told[-1], told[1:]) == (CHANGES, CHANGES[-1], CHANGES[1:])
    assert made == [1]


def test_where_a_batch_ends_needs_no_rows() -> None:
    def values() -> list[tuple[object, ...]]:
        pytest.fail("rows were made")

    array = columns(["text", "int64", "text", "int64", "text"], TOLD.values)
    batch = Batch("0/A", ColumnChanges("t", FIELDS, array, 3, values, 5))
    AdapterCounts().took([batch], Progress(), 0.1)
    assert [each.last_row for each in (batch, Batch("0/A", TOLD), Batch("0/A", CHANGES), Batch("0/A"))] == [7, 7, 7, 0]


def test_the_example_of_the_specification_is_one() -> None:
    text = (Path(__file__).parents[2] / "adapters" / "SPEC.md").read_text("utf-8")
    *_, example = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)
    batch = names["batch"]
    assert [(change.op, change.after, change.row) for change in batch.changes] == [
        (Op.READ, {"id": 7, "name": "甲"}, 1),
        (Op.READ, {"id": 8, "name": "乙"}, 2),
        (Op.READ, {"id": 9, "name": "丙"}, 3),
    ]
