"""The native encoder and the reference: the same bytes, or the same refusal, whatever the schema and the values."""

from __future__ import annotations

import datetime as dt
import decimal
import sys
import uuid
from dataclasses import replace
from enum import StrEnum
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from fastavro import parse_schema
from hypothesis import given
from hypothesis import strategies as st

from bus.pipeline.codec import UnencodableError, encoder
from bus.pipeline.envelope import envelope_schema
from bus.pipeline.ingest import Ingest, RawDataset
from bus.pipeline.native.encoding import change_encoder, record_encoder, told_of
from bus.pipeline.native.shapes import DEEPEST
from bus.spi import Batch, Change, Op, Position, Rejected, RowChanges
from bus.wire import MAX_RECORD_BYTES
from tests.property.pipeline.native_values import by_reference, needs_native

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bus.pipeline.record import Output

pytestmark = needs_native

HEAD = b"head!"


class Text(str):  # noqa: SLOT000  it is one with attributes
    """A text that says that it is another one."""

    def encode(self, *_: Any, **__: Any) -> bytes:
        return b"another"


class Letter(StrEnum):
    """A text by inheritance, as enums are."""

    A = "A"


def _moment(micros: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=micros)


def _logical(kind: str, logical: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "logicalType": logical, **more}


MONEY = _logical("bytes", "decimal", precision=12, scale=2)
MOMENTS = st.integers(-(2**50), 2**52).map(_moment)
CENTS = st.integers(-(10**11), 10**11).map(lambda cents: decimal.Decimal(cents).scaleb(-2))
WHOLE = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-200, 20_000), st.sampled_from([-(2**63), 2**63 - 1]))
LEAVES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    ("null", st.none()),
    ("boolean", st.booleans()),
    ("int", st.integers(-(2**31), 2**31 - 1)),
    ("long", WHOLE),
    ("double", st.floats() | st.integers(-(2**70), 2**70)),
    ("float", st.floats(width=32, allow_nan=False, allow_infinity=False)),
    ("bytes", st.binary(max_size=200)),
    ("string", st.text(max_size=100)),
    ({"type": "string", "pg": "json"}, st.text(max_size=20)),
    (_logical("int", "date"), st.dates()),
    (_logical("int", "time-millis"), st.times()),
    (_logical("long", "time-micros"), st.times()),
    (_logical("long", "timestamp-micros"), MOMENTS),
    (_logical("long", "timestamp-millis"), MOMENTS),
    (_logical("long", "local-timestamp-micros"), st.datetimes()),
    (_logical("string", "uuid"), st.uuids()),
    (MONEY, CENTS),
    ({"type": "enum", "name": "E", "symbols": ["A", "B", "C"]}, st.sampled_from(["A", "B", "C", Letter.A])),
    ({"type": "fixed", "name": "F", "size": 3}, st.binary(min_size=3, max_size=3)),
    ({"type": "fixed", "name": "G", "size": 8, **MONEY, **{"type": "fixed"}}, CENTS),  # noqa: PIE800
]

EDGES = [edge.replace(tzinfo=zone) for edge in (dt.datetime.min, dt.datetime.max) for zone in (None, dt.UTC)]  # noqa: DTZ901
ODD = st.sampled_from(
    [
        None, True, 0, -1, 2**31, -(2**31) - 1, 2**63, -(2**63) - 1, 10**400, 1.5,
        float("nan"), float("inf"), 1e39, -0.0,
        "", "A", "\ud800", "a\udfffb", "中\U0010ffff", "\x00", Text("A"), Letter.A, b"", b"abc", bytearray(b"abc"),
        [], [None], (), {}, {"a": 1}, {1: "a"}, {"\ud800": 1}, {Text("k"): "v"}, set(), object(), 7j,
        dt.date.min, dt.date.max, *EDGES,
        dt.time.max, uuid.UUID(int=0), decimal.Decimal("NaN"), decimal.Decimal("1e99"), decimal.Decimal("0.001"),
    ]
)  # fmt: skip


@st.composite
def types(draw: st.DrawFn, depth: int = 2) -> tuple[Any, st.SearchStrategy[Any]]:
    """An Avro type, and a strategy of its values."""
    kinds = ["leaf", "leaf", "optional", "several", "array", "map", "record"] if depth else ["leaf"]
    kind = draw(st.sampled_from(kinds))
    if kind in ("leaf", "record"):
        found: tuple[Any, st.SearchStrategy[Any]] = draw(
            records(depth - 1) if kind == "record" else st.sampled_from(LEAVES)
        )
        return found
    if kind == "several":
        return ["null", "string", "long"], st.none() | st.text(max_size=5) | WHOLE
    declared, values = draw(types(depth - 1))
    if kind == "array":
        return {"type": "array", "items": declared}, st.lists(values, max_size=3)
    if kind == "map":
        return {"type": "map", "values": declared}, st.dictionaries(st.text(max_size=5), values, max_size=3)
    if isinstance(declared, list) or declared == "null":
        return declared, values
    return draw(st.sampled_from([["null", declared], [declared, "null"]])), st.none() | values


@st.composite
def records(draw: st.DrawFn, depth: int = 2) -> tuple[Any, st.SearchStrategy[Any]]:
    """A record's schema, some of whose fields have defaults, and a strategy of its values."""
    parts = draw(st.lists(types(depth), min_size=1, max_size=5))
    fields = []
    required: dict[str, st.SearchStrategy[Any]] = {}
    optional: dict[str, st.SearchStrategy[Any]] = {}
    for number, (declared, values) in enumerate(parts):
        name = f"f{number}"
        has_default = isinstance(declared, list) and declared[0] == "null" and draw(st.booleans())
        fields.append({"name": name, "type": declared} | ({"default": None} if has_default else {}))
        (optional if has_default else required)[name] = values
    schema = {"type": "record", "name": "R", "fields": fields}
    return schema, st.fixed_dictionaries(required, optional=optional)


def renamed(declared: Any, numbers: Iterator[int]) -> Any:
    """The type with a name of its own for each named type in it."""
    if isinstance(declared, list):
        return [renamed(branch, numbers) for branch in declared]
    if not isinstance(declared, dict):
        return declared
    made = dict(declared)
    if "name" in made:
        made["name"] = f"{made['name']}{next(numbers)}"
    for inner in ("items", "values"):
        if inner in made:
            made[inner] = renamed(made[inner], numbers)
    if "fields" in made:
        made["fields"] = [each | {"type": renamed(each["type"], numbers)} for each in made["fields"]]
    return made


@st.composite
def schema_and_record(draw: st.DrawFn) -> tuple[Any, Any]:
    """A record that fits its schema."""
    schema, values = draw(records())
    return renamed(schema, count()), draw(values)


def spoilt(draw: Callable[..., Any], value: Any) -> Any:
    """The value with one thing in it, or all of it, replaced by an odd one."""
    if isinstance(value, dict) and value and draw(st.integers(0, 9)):
        key = draw(st.sampled_from(list(value)))
        if not draw(st.integers(0, 5)):
            return {name: each for name, each in value.items() if name != key}
        return {**value, key: spoilt(draw, value[key])}
    if isinstance(value, list) and value and draw(st.booleans()):
        return [*value[:-1], spoilt(draw, value[-1])]
    return draw(ODD)


def result(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except UnencodableError as error:
        return error.detail


def both(schema: Any) -> tuple[Any, Any]:
    """The encoders of a schema: with the compiled code, and without."""
    return encoder(7, schema), by_reference(lambda: encoder(7, schema))


@given(schema_and_record())
def test_a_record_that_fits_is_written_as_by_the_reference(given_one: tuple[Any, Any]) -> None:
    schema, record = given_one
    encode, expected = both(schema)
    assert result(lambda: encode(record)) == result(lambda: expected(record))


@given(schema_and_record(), st.data())
def test_a_record_with_anything_in_it_is_written_or_refused_as_by_the_reference(
    given_one: tuple[Any, Any], data: st.DataObject
) -> None:
    schema, record = given_one
    encode, expected = both(schema)
    for _ in range(3):
        record = spoilt(data.draw, record)
        assert result(lambda: encode(record)) == result(lambda: expected(record))  # noqa: B023  called at once


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("boolean", True),
        ("int", -(2**31)),
        ("long", 2**63 - 1),
        ("double", float("nan")),
        ("double", 3),
        ("float", 0.1),
        ("bytes", b"\0"),
        ("string", "é中\U0001f600"),
        (_logical("int", "date"), dt.date.max),
        (_logical("long", "timestamp-micros"), dt.datetime(9999, 12, 31, tzinfo=dt.UTC)),
        (_logical("string", "uuid"), uuid.UUID(int=1)),
        (MONEY, decimal.Decimal("-0.01")),
        (["null", "long"], None),
        (["long", "null"], 5),
        ({"type": "array", "items": ["null", "string"]}, ["a", None]),
        ({"type": "map", "values": "long"}, {"中": 1}),
        ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, "B"),
        ({"type": "fixed", "name": "F", "size": 2}, b"ab"),
        ({"type": "record", "name": "N", "fields": [{"name": "x", "type": "long", "default": 4}]}, {}),
    ],
)
def test_what_is_usual_needs_no_reference(declared: Any, value: Any) -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": "f", "type": declared}]}
    written = record_encoder(parse_schema(schema), HEAD)({"f": value})

    assert written == HEAD + by_reference(lambda: encoder(0, schema))({"f": value})[5:]


def deep(types_within: int) -> Any:
    declared: Any = "long"
    for _ in range(types_within):
        declared = {"type": "array", "items": declared}
    return {"type": "record", "name": "R", "fields": [{"name": "f", "type": declared}]}


def test_types_within_types_end_somewhere() -> None:
    value: Any = 1
    for _ in range(DEEPEST - 2):
        value = [value]
    assert record_encoder(parse_schema(deep(DEEPEST - 2)), HEAD)({"f": value}) is not None
    assert record_encoder(parse_schema(deep(DEEPEST - 1)), HEAD)({"f": [value]}) is None
    itself: list[Any] = []
    itself.append(itself)
    assert record_encoder(parse_schema(deep(3)), HEAD)({"f": itself}) is None


def test_an_encoder_that_is_in_use_gives_up() -> None:
    """A value whose conversion encodes another record, as another thread might meanwhile."""

    class Day(dt.date):
        def toordinal(self) -> int:
            inner.append(encode({"f": dt.date(2026, 1, 1)}))
            return super().toordinal()

    inner: list[bytes | None] = []
    schema = {"type": "record", "name": "R", "fields": [{"name": "f", "type": _logical("int", "date")}]}
    encode = record_encoder(parse_schema(schema), HEAD)

    assert encode({"f": Day(2026, 1, 1)}) == encode({"f": dt.date(2026, 1, 1)})
    assert inner == [None]


def test_a_large_record_leaves_the_encoder_as_it_was() -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": "f", "type": "string"}]}
    encode = record_encoder(parse_schema(schema), b"")
    for size in (5 << 20, 3, 10_000):
        assert (encode({"f": "x" * size}) or b"")[-size:] == b"x" * size


def test_an_encoders_text_holds_no_copy_of_what_it_wrote() -> None:
    text = "".join(["中"] * 10_000)
    size = sys.getsizeof(text)
    schema = {"type": "record", "name": "R", "fields": [{"name": "f", "type": "string"}]}
    record_encoder(parse_schema(schema), b"")({"f": text})
    assert sys.getsizeof(text) == size


ROW = {
    "type": "record",
    "name": "t",
    "fields": [
        {"name": "key", "type": ["null", "string"]},
        {"name": "no", "type": ["null", "long"], "default": None},
        {"name": "born", "type": ["null", _logical("int", "date")], "default": None},
    ],
}
KEYS = st.sampled_from(["a", "b", "中", "", 'q"uote', "back\\slash", "\n", None, 7, Text("a"), dt.date(2026, 1, 1)])
ROWS = st.none() | st.fixed_dictionaries(
    {"key": KEYS},
    optional={"no": st.sampled_from([None, 1, -5, 2**63 - 1, 2**63, True, "x"]), "born": st.dates() | st.just("x")},
)
CHANGES = st.tuples(st.sampled_from(["t", "t", "t", "other"]), st.sampled_from([*Op, *Op, "reject"]), ROWS, ROWS)
UNITS = st.sampled_from(["0/A", "", "中", "00000001-ab"])
TIMES = st.sampled_from([0, 1, -1, 1_760_000_000_000_000])


def batches_of(given: list[list[Any]], unit: str, time: int, transaction: str | None) -> list[Batch]:
    """The changes of a unit, in batches."""
    numbers = count(1)
    made = [[_change(each, next(numbers)) for each in batch] for batch in given]
    return [Batch(unit, batch, last=batch is made[-1], time=time, transaction=transaction) for batch in made]


def _change(given: Any, number: int) -> Change:
    dataset, op, before, after = given
    if op == "reject":
        return Rejected(dataset, Op.READ, None, None, number, rule="form", reason="line 1", original=b"x")
    return Change(dataset, op, before, after, number)


def dataset_of(key: tuple[str, ...], identity: tuple[str, ...]) -> RawDataset:
    schema = envelope_schema("a.b", ROW)
    made = RawDataset("a.b", 4, key, identity, "urn:shuniu:t:1:s", encoder(3, schema))
    return replace(made, native=change_encoder(made, 3, schema))


def outputs(key: tuple[str, ...], identity: tuple[str, ...], batches: list[Batch], position: Position | None) -> Any:
    made: list[Output] = []
    ingest = Ingest({"t": dataset_of(key, identity)}, position)
    try:
        for batch in batches:
            made += ingest.outputs(batch)
    except (ValueError, OverflowError, OSError) as error:
        return type(error), made
    return made


@given(
    st.lists(st.lists(CHANGES, max_size=5), min_size=1, max_size=3),
    UNITS,
    TIMES,
    st.sampled_from([None, "7", "中"]),
    st.sampled_from([("key",), ("key", "no"), ("no",)]),
    st.sampled_from([(), ("no",)]),
    st.integers(0, 6),
)
def test_changes_become_the_records_that_the_reference_makes(  # noqa: PLR0913, PLR0917
    given_ones: list[list[Any]],
    unit: str,
    time: int,
    transaction: str | None,
    key: tuple[str, ...],
    identity: tuple[str, ...],
    done: int,
) -> None:
    batches = batches_of(given_ones, unit, time, transaction)
    position = Position(unit, done) if done else None
    expected = by_reference(lambda: outputs(key, identity, batches, position))
    assert outputs(key, identity, batches, position) == expected


VALUES = st.tuples(KEYS, st.sampled_from([None, 1, -5, 2**63, True, "x"]), st.dates() | st.none())
TOLD = st.tuples(st.sampled_from(["c", "u", "u", "d", "r"]), VALUES, VALUES, st.booleans())


@st.composite
def told_by_values(draw: st.DrawFn) -> list[Batch]:
    """Changes in tuples: all of one kind, or each with its own; most updates leave the key alone."""
    fields = draw(st.permutations(["key", "no", "born"])) if draw(st.booleans()) else ["no", "key", "more"]
    op = draw(st.sampled_from([None, None, Op.READ, Op.CREATE]))
    batches, number = [], 1
    for given_ones in draw(st.lists(st.lists(TOLD, max_size=5), min_size=1, max_size=3)):
        values = []
        for symbol, before, after, is_kept in given_ones:
            row = dict(zip(("key", "no", "born"), after, strict=True)) | {"more": 1}
            old = dict(zip(("key", "no", "born"), before, strict=True)) | {"more": 2} | (row if is_kept else {})
            news, olds = ([side[name] for name in fields] for side in (row, old))
            values.append(tuple(news) if op is not None else (symbol, *olds, *news))
        batches.append(Batch("0/A", RowChanges("t", tuple(fields), values, number, op), last=False, time=5))
        number += len(values)
    return [*batches[:-1], replace(batches[-1], last=True)]


@given(told_by_values(), st.sampled_from([("key",), ("key", "no"), ("born",)]), st.integers(0, 6))
def test_changes_told_by_values_become_what_they_become_by_themselves(
    batches: list[Batch], key: tuple[str, ...], done: int
) -> None:
    position = Position("0/A", done) if done else None
    made = outputs(key, (), batches, position)
    assert made == by_reference(lambda: outputs(key, (), batches, position))
    assert made == outputs(key, (), [replace(batch, changes=list(batch.changes)) for batch in batches], position)


@pytest.mark.parametrize(
    "changes",
    [
        RowChanges("t", ("key",), [("a",)], 2**63 - 1, Op.READ),
        RowChanges("t", ("key",), [("a",)], 2**70, Op.READ),
        RowChanges("t", ("key",), [("a",), ["b"]], 1, Op.READ),  # type: ignore[list-item]
        RowChanges("t", ("key",), (("a",),), 1, Op.READ),  # type: ignore[arg-type]
        RowChanges("t", ["key"], [("a",)], 1, Op.READ),  # type: ignore[arg-type]
        RowChanges("t", ("key", "key"), [("a", "b")], 1, Op.READ),
        RowChanges("t", ("key", "no"), [("a",)], 1, Op.READ),
        RowChanges("t", ("no",), [(1,)], 1, Op.READ),
        RowChanges("t", ("key",), [("a",)], 1, Op.DELETE),
        RowChanges("t", ("key",), [("a", "b", "c"), ("c", None, "a")], 1),
        RowChanges("t", ("key",), [("c", "a"), ()], 1),
        RowChanges("other", ("key",), [("a",)], 1, Op.READ),
        RowChanges("t", ("key", "no"), [(f"{number}", number) for number in range(1, 1000)], 1, Op.READ),
    ],
)
def test_odd_values_are_put_out_as_by_the_reference(changes: RowChanges) -> None:
    batch = Batch("0/A", changes)
    expected = by_reference(lambda: outputs(("key",), (), [batch], None))
    assert outputs(("key",), (), [batch], None) == expected


def test_usual_values_need_no_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[int] = []
    monkeypatch.setattr(RowChanges, "_change", lambda _, place: looked_at.append(place))
    values = [("u", "a", None, "a", number) for number in range(10)]
    ingest = Ingest({"t": dataset_of(("key",), ())}, None)

    with pytest.raises(AttributeError):  # the last one is looked at, for it may be the last of its unit
        list(ingest.outputs(Batch("0/A", RowChanges("t", ("key", "no"), values, 1))))
    assert looked_at == [9]


def change(row: dict[str, Any], number: int = 1) -> Change:
    return Change("t", Op.CREATE, None, row, number)


def test_a_usual_change_needs_no_reference() -> None:
    made, told = dataset_of(("key",), ()).native, told_of(Batch("0/A", [change({})], time=5))
    assert made is not None
    assert told is not None
    assert made.record(told, change({"key": "中", "no": 1}), b"k", released=False, last=True) is not None


@pytest.mark.parametrize(
    "batch",
    [
        Batch("0/A", [change({"key": "x"})], time=2**80),
        Batch("\ud800", [change({"key": "x"})]),
        Batch("0/A", [change({"key": "\ud800"})]),
        Batch("0/A", [change({"key": "x"})], transaction="\ud800"),
        Batch("0/A", [change({"key": "x"}, 2**70)]),
        Batch("0/A", [change({"key": "x" * MAX_RECORD_BYTES})]),
        Batch("0/A", [change({"key": "x" * n}) for n in range(MAX_RECORD_BYTES // 2 - 30, MAX_RECORD_BYTES // 2)]),
        Batch("0/A", (change({"key": "x"}), change({"key": "y"}, 2))),
        Batch("0/A", [change({"key": "x"}, number) for number in range(1, 1000)]),
    ],
)
def test_a_batch_with_anything_in_it_is_put_out_as_by_the_reference(batch: Batch) -> None:
    expected = by_reference(lambda: outputs(("key",), (), [batch], None))
    assert outputs(("key",), (), [batch], None) == expected
