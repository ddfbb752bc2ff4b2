"""Changes that are told by columns become the records that the reference makes of the same rows."""

from __future__ import annotations

import datetime as dt
import struct
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import nanoarrow as na
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.pipeline.codec import encoder
from bus.pipeline.envelope import envelope_schema
from bus.pipeline.ingest import Ingest, RawDataset
from bus.pipeline.native.encoding import change_encoder
from bus.spi import Batch, ColumnChanges, Op, Position, RowChanges
from tests.arrow_columns import column, columns
from tests.property.pipeline.native_values import by_reference, cases, needs_native

if TYPE_CHECKING:
    from bus.pipeline.record import Output

pytestmark = needs_native


def _logical(kind: str, logical: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "logicalType": logical, **more}


TYPES: dict[str, Any] = {
    "string": "string",
    "long": "long",
    "int": "int",
    "boolean": "boolean",
    "double": "double",
    "float": "float",
    "bytes": "bytes",
    "fixed": {"type": "fixed", "name": "f", "size": 4},
    "enum": {"type": "enum", "name": "e", "symbols": ["calm", "busy"]},
    "uuid": _logical("string", "uuid"),
    "date": _logical("int", "date"),
    "time": _logical("long", "time-micros"),
    "moment": _logical("long", "timestamp-micros"),
    "local moment": _logical("long", "local-timestamp-micros"),
    "millis": _logical("long", "timestamp-millis"),
    "decimal": _logical("bytes", "decimal", precision=12, scale=2),
    "narrow decimal": _logical("bytes", "decimal", precision=4, scale=2),
    "other decimal": _logical("bytes", "decimal", precision=12, scale=3),
}
TEXTS = st.text(max_size=20) | st.sampled_from(["calm", "busy", "0f8fad5b-d9cb-469f-a165-70867728950e", "中", "𠮷", ""])
MOMENTS = st.datetimes(timezones=st.just(dt.UTC))
CENTS = st.integers(-(10**12), 10**12).map(lambda cents: Decimal(cents).scaleb(-2))
KINDS: dict[str, tuple[st.SearchStrategy[Any], list[str]]] = {
    "text": (TEXTS, ["string", "string", "enum", "uuid", "long", "date"]),
    "large text": (TEXTS, ["string", "enum", "bytes"]),
    "bytes": (st.binary(max_size=6), ["bytes", "fixed", "string", "decimal"]),
    "large bytes": (st.binary(min_size=4, max_size=4), ["bytes", "fixed"]),
    "boolean": (st.booleans(), ["boolean", "string", "long"]),
    "int8": (st.integers(-128, 127), ["int", "long", "boolean", "date"]),
    "int16": (st.integers(-(2**15), 2**15 - 1), ["int", "long", "double"]),
    "int32": (st.integers(-(2**31), 2**31 - 1), ["int", "long", "date"]),
    "int64": (st.integers(-(2**63), 2**63 - 1) | st.integers(-9, 9), ["int", "long", "moment", "string"]),
    "uint32": (st.integers(0, 2**32 - 1), ["int", "long"]),
    "float": (st.floats(width=32), ["float", "double"]),
    "double": (st.floats(), ["double", "float", "long"]),
    "date": (st.dates(), ["date", "int", "string", "moment"]),
    "time": (st.times(), ["time", "long"]),
    "moment": (MOMENTS, ["moment", "moment", "millis", "date"]),
    "local moment": (st.datetimes(), ["local moment", "time"]),
    "millis": (MOMENTS.map(lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)), ["millis", "moment"]),
    "decimal": (CENTS, ["decimal", "narrow decimal", "other decimal", "bytes"]),
    "null": (st.none(), ["string", "decimal"]),
}
KEYS = {
    "text": st.text(max_size=5) | st.sampled_from(["a", "b", "中"]),
    "int64": st.integers(-9, 2**63 - 1),
    "date": st.dates(),
    "boolean": st.booleans(),
    "moment": MOMENTS,
}


def outputs(schema: dict[str, Any], key: tuple[str, ...], batches: list[Batch], done: int) -> Any:
    raw = RawDataset("a.b", 4, key, (), "urn:shuniu:t:1:s", encoder(3, envelope_schema("a.b", schema)))
    raw = replace(raw, native=change_encoder(raw, 3, envelope_schema("a.b", schema)))
    ingest = Ingest({"t": raw}, Position("0/A", done) if done else None)
    made: list[Output] = []
    try:
        for batch in batches:
            made += ingest.outputs(batch)
    except (ValueError, OverflowError, OSError) as error:
        return type(error), made
    return made


@st.composite
def told_by_columns(draw: st.DrawFn) -> tuple[dict[str, Any], tuple[str, ...], list[Batch]]:
    """A row's schema, its key, and batches of changes: all of one kind, or each with its own."""
    key_kinds = draw(st.lists(st.sampled_from(list(KEYS)), min_size=1, max_size=2))
    kinds = draw(st.lists(st.sampled_from(list(KINDS)), max_size=5))
    named = [(f"k{place}", kind, KEYS[kind], _key_type(kind)) for place, kind in enumerate(key_kinds)]
    for place, kind in enumerate(kinds):
        strategy, types = KINDS[kind]
        named.append((f"v{place}", kind, st.none() | strategy, TYPES[draw(st.sampled_from(types))]))
    named = draw(st.permutations(named))
    fields = [{"name": name, "type": _declared(draw, name, declared)} for name, _, _, declared in named]
    left_out = draw(st.booleans())
    if left_out:
        fields.append({"name": "more", "type": ["null", "string"], "default": None})
    op = draw(st.sampled_from([None, Op.READ, Op.CREATE]))
    told_kinds = [kind for _, kind, _, _ in named]
    row = st.tuples(*[strategy for _, _, strategy, _ in named])
    batches, number = [], 1
    for _ in range(draw(st.integers(1, 3))):
        rows = draw(st.lists(row if op is not None else _told(row), max_size=6))
        all_kinds = told_kinds if op is not None else ["text", *told_kinds, *told_kinds]
        are_told = draw(st.none() | st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
        array, names = columns(all_kinds, rows, told=are_told), tuple(name for name, *_ in named)
        start = draw(st.integers(0, len(rows)))  # a part of what a producer has: its rows begin behind others
        some = array[start : len(rows)] if start else array
        changes = ColumnChanges("t", names, some, len(rows) - start, partial(list, rows[start:]), number, op)
        batches.append(Batch("0/A", changes, last=False, time=5))
        number += len(changes)
    schema = {"type": "record", "name": "t", "fields": fields}
    return schema, tuple(f"k{place}" for place in range(len(key_kinds))), [
        *batches[:-1], replace(batches[-1], last=True)
    ]  # fmt: skip


def _key_type(kind: str) -> Any:
    return {"text": "string", "int64": "long"}.get(kind) or TYPES[kind]


def _declared(draw: st.DrawFn, name: str, declared: Any) -> Any:
    if isinstance(declared, dict) and "name" in declared:
        declared = {**declared, "name": f"{declared['name']}_{name}"}
    return draw(st.sampled_from([["null", declared], [declared, "null"], declared]))


def _told(row: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A symbol, the row before and the row after; half of the time their keys are the same."""
    return st.tuples(st.sampled_from("cuudr"), row, row, st.booleans()).map(
        lambda told: (told[0], *(told[2] if told[3] else told[1]), *told[2])
    )


@cases(1_000)
@given(told_by_columns(), st.integers(0, 6))
def test_changes_told_by_columns_become_what_their_rows_become(
    told: tuple[dict[str, Any], tuple[str, ...], list[Batch]], done: int
) -> None:
    schema, key, batches = told
    made = outputs(schema, key, batches, done)
    assert made == by_reference(lambda: outputs(schema, key, batches, done))
    assert made == outputs(schema, key, [replace(batch, changes=list(batch.changes)) for batch in batches], done)


ROW = {
    "type": "record",
    "name": "t",
    "fields": [{"name": "key", "type": "string"}, {"name": "no", "type": ["null", "long"], "default": None}],
}


def _changes(rows: list[Any], op: Op | None, fields: tuple[str, ...] = ("key", "no"), **more: Any) -> ColumnChanges:
    kinds = ["text", "int64"] if op is not None else ["text", "text", "int64", "text", "int64"]
    array = more.get("columns") or columns(kinds, rows)
    return ColumnChanges("t", fields, array, len(rows), more.get("values", lambda: rows), 1, op)


def test_usual_columns_need_no_rows() -> None:
    def values() -> list[Any]:
        pytest.fail("rows were made")

    rows = [("u", "a", None, "a", number) for number in range(600)]
    batch = Batch("0/A", _changes(rows, None, values=values), last=False)
    made = outputs(ROW, ("key",), [batch], 0)
    assert made == by_reference(
        lambda: outputs(ROW, ("key",), [Batch("0/A", RowChanges("t", ("key", "no"), rows, 1), last=False)], 0)
    )
    assert len(made) == 600


class Broken:
    """Exports what a producer must not."""

    def __init__(self, *capsules: object) -> None:
        self.capsules = capsules

    def __arrow_c_array__(self, requested_schema: object | None = None) -> Any:
        return self.capsules


@pytest.mark.parametrize(
    "changes",
    [
        _changes([("a", 1)], Op.READ, ("key", "key")),
        _changes([("a", 1)], Op.READ, ("no", "key")),
        _changes([("a", 1)], Op.READ, ("key", "other")),
        _changes([("a", 1)], Op.DELETE),
        _changes([("a", 1)], Op.UPDATE),
        _changes([("x", "a", 1, "a", 2)], None, values=lambda: [("c", "a", 1, "a", 2)]),
        _changes([("a", 1)], Op.READ, columns=columns(["text"], [("a",)])),
        _changes([("a", 1)], Op.READ, columns=columns(["text", "int64"], [])),
        _changes([("a", 1)], Op.READ, columns=columns(["text", "int64"], [("a", 1)]).child(0)),
        _changes([("a", 1)], Op.READ, columns=Broken()),
        _changes([("a", 1)], Op.READ, columns=Broken(None, None)),
        _changes([("a", 1)], Op.READ, columns=Broken(*reversed(columns(["text"], [("a",)]).__arrow_c_array__()))),
    ],
)
def test_odd_columns_are_taken_by_rows(changes: ColumnChanges) -> None:
    batch = Batch("0/A", changes)
    assert outputs(ROW, ("key",), [batch], 0) == by_reference(lambda: outputs(ROW, ("key",), [batch], 0))


def test_a_text_that_is_not_utf_8_is_taken_by_its_row() -> None:
    text = na.c_array_from_buffers(na.string(), 2, [None, struct.pack("3i", 0, 1, 2), b"\xffb"])
    array = na.c_array_from_buffers(
        na.struct({"0": na.string(), "1": na.int64()}), 2, [None], children=[text, column("int64", [1, 2])]
    )
    batch = Batch("0/A", _changes([("?", 1), ("b", 2)], Op.READ, columns=array))
    assert outputs(ROW, ("key",), [batch], 0) == by_reference(lambda: outputs(ROW, ("key",), [batch], 0))
