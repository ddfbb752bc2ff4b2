"""Edges where a plain copy of bytes would not be what the reference makes: given up by the native interpreter."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from fastavro import parse_schema

from bus.catalogue.view import View
from bus.pipeline import native
from bus.pipeline.codec import Decoders, encoder
from bus.pipeline.envelope import envelope_schema
from bus.pipeline.mapping.compiled import compile_mapping
from bus.pipeline.mapping.mask import compile_projection
from bus.pipeline.native.nodes import NotNativeError, inlined, node
from bus.pipeline.native.program import Program, compile_mapping_program, compile_view_program
from bus.pipeline.normalise import DatasetNormaliser, EntityOutput, Normalise
from bus.pipeline.open_rejects import OpenRejects
from bus.wire import MAX_RECORD_BYTES, frame
from tests.property.pipeline.native_mappings import RAW, Raw, entity_of, mapping_of, source_of
from tests.property.pipeline.native_values import blob, needs_native, number
from tests.stages import through

pytestmark = needs_native

SCALED = {"type": "fixed", "name": "F", "size": 4, "logicalType": "decimal", "precision": 5, "scale": 2}
COLOURS = {"type": "enum", "name": "E", "symbols": ["A", "B"]}


def _record(declared: Any) -> dict[str, Any]:
    return {"type": "record", "name": "c.e", "fields": [{"name": "f", "type": declared}]}


def _shown(old: Any, new: Any, body: bytes) -> bytes | None:
    """What the native interpreter shows of a record that was written with an older type of the field."""
    view = View.model_validate({"metadata": {"name": "v"}, "spec": {"entity": "c.e", "revision": 1, "fields": ["f"]}})
    schema, _ = compile_projection(_record(new), view)
    interpreter = native.Interpreter(compile_view_program(view, {}, schema, 9, 1, _record(old)))
    shown = interpreter.convert(b"", frame(1) + body)
    assert shown is None or shown[:5] == frame(9)
    return None if shown is None else shown[5:]


def test_a_view_shows_no_int_of_more_than_32_bits() -> None:
    assert _shown("int", "int", number(2**31)) is None
    assert _shown("int", "int", number(2**31 - 1)) == number(2**31 - 1)


def test_a_decimal_is_written_anew_in_the_views_scale() -> None:
    assert _shown(SCALED, SCALED | {"scale": 3}, struct.pack(">i", 150)) == struct.pack(">i", 1500)
    assert _shown(SCALED, SCALED, struct.pack(">i", 999_999)) != struct.pack(">i", 999_999), (
        "more digits than it may have"
    )


def test_a_symbol_is_looked_up_by_its_name() -> None:
    assert _shown(COLOURS, COLOURS | {"symbols": ["B", "A"]}, number(0)) == number(1)


def test_a_nan_that_signals_becomes_a_quiet_one_as_in_python() -> None:
    signalling = struct.pack("<I", 0x7F800001)
    assert _shown("float", "float", signalling) == struct.pack("<f", *struct.unpack("<f", signalling))


KEYS = ["k", "k2"]
TEXTS = [{"name": name, "type": "string"} for name in KEYS]
ROWS = {"type": "record", "name": "t", "fields": TEXTS}
CHANGES = envelope_schema("d.s", ROWS)
MAPPING = mapping_of({name: {"from": name} for name in KEYS}, [])
ENTITY, SOURCE = entity_of(TEXTS, KEYS), source_of(KEYS)


def _program(writer: int, changes: dict[str, Any]) -> Program:
    return compile_mapping_program(MAPPING, ENTITY, SOURCE, {}, 9, writer, changes)


@pytest.fixture
def stage() -> Normalise:
    """Of a mapping that copies two texts, which are the key."""
    decoders = Decoders()
    decoders.add(1, CHANGES)
    output = EntityOutput(
        topic="shared.c.e",
        partitions=3,
        event_type=b"c.e.v1",
        revision=1,
        key=tuple(KEYS),
        compile=lambda row: compile_mapping(MAPPING, ENTITY, SOURCE, {}, row),
        encode=encoder(9, ENTITY.spec.avro),
        program=_program,
    )
    made = Normalise({RAW: [DatasetNormaliser("d.s", output, decoders)]}, OpenRejects(5, [(RAW, 2)]))
    assert [each.topic for each in through(made, [_change(b'["a","b"]')])] == ["shared.c.e"]
    return made


def _change(key: bytes, text: str = "b", op: int = 1) -> Raw:
    row = blob(b"a") + blob(text.encode())
    return Raw(key, b"".join([frame(1), number(op), b"\0\2", row, blob(b"0/1"), b"\0\1", number(0)]), headers=[])


@pytest.mark.parametrize("key", [b'["\\ud800","a"]', b"[" * 100_000, b'["a"]', b"\xff"], ids=len)
def test_a_key_that_is_none_is_a_dead_letter_and_the_lane_goes_on(stage: Normalise, key: bytes) -> None:
    made = through(stage, [_change(key), _change(b'["a","b"]')])

    assert sorted(each.topic for each in made if each.topic[0] != "_") == ["dlq.d.s", "shared.c.e"]


def test_a_record_that_would_be_too_large_is_a_dead_letter(stage: Normalise) -> None:
    made = through(stage, [_change(b'["a","b"]', "x" * MAX_RECORD_BYTES)])

    assert [each.topic for each in made if each.topic[0] != "_"] == ["dlq.d.s"]


def test_a_deletion_is_a_tombstone_though_it_has_a_row(stage: Normalise) -> None:
    made = through(stage, [_change(b'["a","b"]', op=2)])

    assert [(each.topic, each.value) for each in made] == [("shared.c.e", None)]


def _changed(name: str, declared: Any) -> dict[str, Any]:
    """The schema of changes with another type for one of its fields."""
    fields = [each | {"type": declared} if each["name"] == name else each for each in CHANGES["fields"]]
    return CHANGES | {"fields": fields}


@pytest.mark.parametrize(
    ("name", "declared"),
    [
        ("op", ["null", CHANGES["fields"][0]["type"]]),
        ("op", "string"),
        ("after", "raw.d.s.Row"),
        ("after", ["null", {"type": "record", "name": "Other", "fields": TEXTS}]),
        ("position", ["null", "string", "long"]),
    ],
)
def test_changes_of_another_form_are_the_references(name: str, declared: Any) -> None:
    with pytest.raises(NotNativeError):
        _program(1, _changed(name, declared))


EMPTY: dict[str, Any] = {"type": "record", "name": "E", "fields": []}


def _within(times: int) -> Any:
    declared: Any = "string"
    for _ in range(times):
        declared = {"type": "array", "items": declared}
    return declared


@pytest.mark.parametrize(
    "items",
    [
        "null",
        EMPTY,
        {"type": "fixed", "name": "F", "size": 0},
        {"type": "record", "name": "R", "fields": [{"name": "a", "type": "null"}, {"name": "b", "type": EMPTY}]},
        _within(70),
    ],
    ids=["null", "no fields", "fixed of no bytes", "fields of no bytes", "too deep"],
)
def test_items_that_may_take_no_bytes_or_lie_too_deep_are_the_references(items: Any) -> None:
    with pytest.raises(NotNativeError):
        node(inlined(parse_schema({"type": "array", "items": items})))


@pytest.mark.parametrize(
    "items",
    [
        ["null", EMPTY],
        {"type": "fixed", "name": "F", "size": 1},
        {"type": "array", "items": "string"},
        {"type": "record", "name": "R", "fields": [{"name": "a", "type": "null"}, {"name": "b", "type": "int"}]},
    ],
    ids=["a branch", "fixed", "array", "record"],
)
def test_items_that_take_a_byte_at_least_are_compiled(items: Any) -> None:
    assert node(inlined(parse_schema({"type": "array", "items": items}))).kind == "array"
