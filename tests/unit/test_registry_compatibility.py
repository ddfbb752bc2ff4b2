"""Schema resolution (Avro 1.12): what a reader can read of what a writer wrote."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from bus.registry.avro import read_schema
from bus.registry.compatibility import Level, incompatibilities, unreadable
from bus.registry.faults import RefusedError


def record(*fields: dict[str, Any], name: str = "R", **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields), **more}


def enum(*symbols: str, **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": "E", "symbols": list(symbols), **more}


def fixed(size: int, **more: Any) -> dict[str, Any]:
    return {"type": "fixed", "name": "F", "size": size, **more}


def problems(reader: Any, writer: Any) -> list[str]:
    return unreadable(read_schema(json.dumps(reader)), read_schema(json.dumps(writer)))


A = {"name": "a", "type": "int"}
TREE = record({"name": "child", "type": ["null", "R"], "default": None})
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}

READABLE = [
    ("long", "int"),
    ("double", "float"),
    ("float", "long"),
    ("bytes", "string"),
    ("string", "bytes"),
    (["null", "string"], "string"),
    ("string", ["string"]),
    (["long", "string"], ["int", "string"]),
    ({"type": "array", "items": "long"}, {"type": "array", "items": "int"}),
    ({"type": "map", "values": "double"}, {"type": "map", "values": "long"}),
    (record(A, {"name": "b", "type": "int", "default": 0}), record(A)),
    (record(), record(A)),
    (record({"name": "b", "type": "int", "aliases": ["a"]}), record(A)),
    (record(A, name="x.R"), record(A, name="y.R")),
    (record(A, name="New", aliases=["Old"]), record(A, name="Old")),
    (enum("A", "B"), enum("A")),
    (enum("A", default="A"), enum("A", "B")),
    (fixed(4), fixed(4)),
    (TREE, TREE),
    (DECIMAL, DECIMAL),
]

UNREADABLE = [
    ("int", "long", "int cannot read long"),
    ("string", "int", "string cannot read int"),
    ("string", ["null", "string"], "string cannot read null"),
    (["null", "int"], "string", "no branch for string"),
    (record(A), record(), "field 'a' has no default"),
    (record(A, name="New"), record(A, name="Old"), "neither Old nor has it as an alias"),
    (enum("A"), enum("A", "B", "C"), "lacks B, C"),
    (fixed(4), fixed(5), "differs in size"),
    (enum("A"), fixed(1), "cannot read"),
    ({"type": "array", "items": "int"}, {"type": "map", "values": "int"}, "array cannot read map"),
    ({**DECIMAL, "scale": 3}, DECIMAL, "precision or scale"),
    (
        record({"name": "in", "type": {"type": "array", "items": record(A, name="Inner")}}),
        record({"name": "in", "type": {"type": "array", "items": record(name="Inner")}}),
        "/fields/0/type/items/fields/0: ",
    ),
]


@pytest.mark.parametrize(("reader", "writer"), READABLE)
def test_it_can_be_read(reader: Any, writer: Any) -> None:
    assert problems(reader, writer) == []


@pytest.mark.parametrize(("reader", "writer", "message"), UNREADABLE)
def test_it_cannot_be_read_and_the_message_says_where_and_why(reader: Any, writer: Any, message: str) -> None:
    (found,) = problems(reader, writer)

    assert message in found


def test_a_level_says_who_reads_whom() -> None:
    old, new = read_schema(json.dumps(record())), read_schema(json.dumps(record(A)))

    assert "the new schema reading version 1" in incompatibilities(Level.BACKWARD, new, [(1, old)])[0]
    assert incompatibilities(Level.FORWARD, new, [(1, old)]) == []
    assert "version 1 reading the new schema" in incompatibilities(Level.FORWARD_TRANSITIVE, old, [(1, new)])[0]


def test_a_type_read_only_under_a_wrong_assumption_is_compared_again() -> None:
    inner = record({"name": "a", "type": "x.A"}, name="x.B")
    needs_more = record({"name": "b", "type": inner}, {"name": "extra", "type": "int"}, name="x.A")
    either = [needs_more, record(name="y.A")]
    reader = record({"name": "one", "type": either}, {"name": "two", "type": "x.B"})
    written = record({"name": "b", "type": record({"name": "a", "type": "A"}, name="B")}, name="A")
    writer = record({"name": "one", "type": written}, {"name": "two", "type": "B"})

    (found,) = problems(reader, writer)

    assert "field 'extra' has no default" in found


def test_two_wide_unions_are_compared_or_refused_within_seconds() -> None:
    wide = [fixed(1, name=f"F{i}") for i in range(3_000)]
    reader, writer = read_schema(json.dumps(wide)), read_schema(json.dumps(wide[::-1]))

    start = time.monotonic()
    with pytest.raises(RefusedError, match="too large to be compared"):
        unreadable(reader, writer)

    assert time.monotonic() - start < 5


def test_a_default_that_two_recursive_types_could_take_is_checked_in_linear_time() -> None:
    either = ["null", "A", "B"]
    inner = record({"name": "f", "type": ["null", "A", "B"]}, name="A")
    schema = record({"name": "f", "type": ["null", inner, "B"]}, name="B")
    value: Any = "nothing that fits"
    for _ in range(60):
        value = {"f": value}
    schema["fields"].append({"name": "d", "type": either, "default": value})

    with pytest.raises(RefusedError, match="default of field 'd'"):
        read_schema(json.dumps(schema))
