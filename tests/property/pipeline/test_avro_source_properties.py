"""The generated codec and fastavro agree: on bytes, on values, and on what is damaged."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from io import BytesIO
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from bus.pipeline import avro_source

if TYPE_CHECKING:
    from collections.abc import Iterator

_MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}
_UTC = st.integers(-(2**50), 2**52).map(
    lambda micros: dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=micros)
)
_LONGS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-200, 20_000))

_LEAVES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    ("boolean", st.booleans()),
    ("int", st.integers(-(2**31), 2**31 - 1)),
    ("long", _LONGS),
    ("double", st.floats(allow_nan=False)),
    ("float", st.floats(width=32, allow_nan=False)),
    ("bytes", st.binary(max_size=300)),
    ("string", st.text(max_size=200)),
    ({"type": "int", "logicalType": "date"}, st.dates(dt.date(1900, 1, 1))),
    ({"type": "long", "logicalType": "timestamp-micros"}, _UTC),
    ({"type": "string", "logicalType": "uuid"}, st.uuids()),
    (_MONEY, st.integers(-(10**9), 10**9).map(lambda cents: decimal.Decimal(cents).scaleb(-2))),
]


_NAMED: list[tuple[Any, st.SearchStrategy[Any]]] = [
    ({"type": "enum", "name": "E", "symbols": ["A", "B", "C"]}, st.sampled_from(["A", "B", "C"])),
    ({"type": "fixed", "name": "F", "size": 3}, st.binary(min_size=3, max_size=3)),
]


@st.composite
def _typed(draw: st.DrawFn, depth: int = 2) -> tuple[Any, st.SearchStrategy[Any]]:
    """An Avro type, and a strategy of its values."""
    leaf: tuple[Any, st.SearchStrategy[Any]] = draw(st.sampled_from([*_LEAVES, *_NAMED]))
    kind = draw(st.sampled_from(["leaf", "optional", "array", "map", "record"])) if depth else "leaf"
    if kind == "leaf":
        return leaf
    if kind == "record":
        return draw(_records(depth - 1))
    declared, values = draw(_typed(depth - 1))
    if kind == "array":
        return {"type": "array", "items": declared}, st.lists(values, max_size=3)
    if kind == "map":
        return {"type": "map", "values": declared}, st.dictionaries(st.text(max_size=5), values, max_size=3)
    if isinstance(declared, list):
        return declared, values
    union = ["null", declared] if draw(st.booleans()) else [declared, "null"]
    return union, st.none() | values


@st.composite
def _records(draw: st.DrawFn, depth: int = 2) -> tuple[Any, st.SearchStrategy[Any]]:
    parts = draw(st.lists(_typed(depth), min_size=1, max_size=6))
    fields = [{"name": f"f{number}", "type": declared} for number, (declared, _) in enumerate(parts)]
    schema = {"type": "record", "name": "R", "fields": fields}
    return schema, st.fixed_dictionaries({f"f{number}": values for number, (_, values) in enumerate(parts)})


@st.composite
def _schema_and_record(draw: st.DrawFn) -> tuple[Any, dict[str, Any]]:
    schema, values = draw(_records())
    return parse_schema(_renamed(schema, count())), draw(values)


def _renamed(declared: Any, numbers: Iterator[int]) -> Any:
    """The type with a name of its own for each named type in it."""
    if isinstance(declared, list):
        return [_renamed(branch, numbers) for branch in declared]
    if not isinstance(declared, dict):
        return declared
    made = dict(declared)
    if "name" in made:
        made["name"] = f"{made['name']}{next(numbers)}"
    for inner in ("items", "values"):
        if inner in made:
            made[inner] = _renamed(made[inner], numbers)
    if "fields" in made:
        made["fields"] = [each | {"type": _renamed(each["type"], numbers)} for each in made["fields"]]
    return made


def _reference_bytes(schema: Any, record: dict[str, Any]) -> bytes:
    body = BytesIO()
    schemaless_writer(body, schema, record)
    return body.getvalue()


def _made(function: Any) -> Any:
    try:
        return function()
    except avro_source.UnsupportedSchemaError:
        return None


@given(_schema_and_record(), st.data())
def test_both_codecs_write_and_read_the_same(given_one: tuple[Any, dict[str, Any]], data: st.DataObject) -> None:
    schema, record = given_one
    write, read = _made(lambda: avro_source.writer(schema, b"head!")), _made(lambda: avro_source.reader(schema, 5))
    if write is None or read is None:
        return  # left to fastavro
    body = _reference_bytes(schema, record)
    assert write(record) == b"head!" + body

    expected = schemaless_reader(BytesIO(body), schema, None)
    assert read(b"head!" + body) == expected

    only = data.draw(st.sets(st.sampled_from(sorted(record))))
    read_some = avro_source.reader(schema, 5, only)
    assert read_some(b"head!" + body) == {name: expected[name] for name in expected if name in only}


@given(_schema_and_record(), st.data())
def test_what_is_read_from_damaged_bytes_fastavro_reads_as_well(
    given_one: tuple[Any, dict[str, Any]], data: st.DataObject
) -> None:
    schema, record = given_one
    read = _made(lambda: avro_source.reader(schema, 0))
    if read is None:
        return
    body = bytearray(_reference_bytes(schema, record))
    place = data.draw(st.integers(0, max(0, len(body) - 1)))
    damaged = bytes(body[:place] + data.draw(st.binary(max_size=3)) + body[place + data.draw(st.integers(0, 3)) :])
    try:
        found = read(damaged)
    except Exception:  # noqa: BLE001  `codec` makes one error of all of them
        return
    stream = BytesIO(damaged)
    assert repr(found) == repr(schemaless_reader(stream, schema, None))  # repr: NaN is not equal to itself
    assert stream.tell() == len(damaged)


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("int", 2**31),
        ("long", 2**63),
        ("long", "7"),
        ("long", True),
        ("string", None),
        ("string", b"bytes"),
        ("string", "\ud800"),
        ("bytes", "text"),
        ("boolean", "yes"),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, "B"),
        ({"type": "fixed", "name": "F", "size": 2}, b"abc"),
        ({"type": "array", "items": "long"}, "123"),
        (["null", "long"], 1.5),
    ],
)
def test_a_value_of_another_type_is_not_written(declared: Any, value: Any) -> None:
    schema = parse_schema({"type": "record", "name": "R", "fields": [{"name": "f", "type": declared}]})
    write = avro_source.writer(schema, b"")
    with pytest.raises((TypeError, ValueError, KeyError, AttributeError)):
        write({"f": value})
    with pytest.raises(KeyError):
        write({"g": value})


@pytest.mark.parametrize(
    ("declared", "body"),
    [
        ("string", b"\x01"),  # a negative length
        ("string", b"\x06ab"),  # shorter than it says
        ("string", b"\x02\xff"),  # not UTF-8
        ("string", b"\x02ab"),  # bytes left over
        ("long", b"\xff" * 11),  # a number without end
        ("long", b"\xff" * 9 + b"\x7f"),  # more than 64 bits
        ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, b"\x01"),  # symbol -1
        ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, b"\x04"),
        (["null", "long"], b"\x04"),
        ("boolean", b"\x02"),
        ({"type": "array", "items": "long"}, b"\xfe\xff\xff\xff\x0f"),  # two thousand million items
        ({"type": "map", "values": "long"}, b"\x02\x02"),
    ],
)
def test_damaged_bytes_are_not_read(declared: Any, body: bytes) -> None:
    schema = parse_schema({"type": "record", "name": "R", "fields": [{"name": "f", "type": declared}]})
    with pytest.raises((avro_source.DamagedError, IndexError, ValueError)):
        avro_source.reader(schema, 0)(body)


def test_what_it_does_not_know_is_left_to_fastavro() -> None:
    tree = {"type": "record", "name": "Tree", "fields": [{"name": "left", "type": ["null", "Tree"]}]}
    several = {"type": "record", "name": "R", "fields": [{"name": "f", "type": ["string", "long"]}]}
    for schema in (tree, several):
        with pytest.raises(avro_source.UnsupportedSchemaError):
            avro_source.reader(parse_schema(schema), 0)
        with pytest.raises(avro_source.UnsupportedSchemaError):
            avro_source.writer(parse_schema(schema), b"")


def test_a_field_that_is_absent_takes_its_default() -> None:
    schema = parse_schema(
        {"type": "record", "name": "R", "fields": [{"name": "f", "type": ["null", "long"], "default": None}]}
    )
    assert avro_source.reader(schema, 0)(avro_source.writer(schema, b"")({})) == {"f": None}


def test_names_of_fields_are_text_and_never_code() -> None:
    schema = parse_schema(
        {"type": "record", "name": "R", "fields": [{"name": "class", "type": "string"}, {"name": "b", "type": "long"}]}
    )
    record = {"class": str(uuid.UUID(int=0)), "b": 5}
    assert avro_source.reader(schema, 0)(avro_source.writer(schema, b"")(record)) == record
