"""Whoever may write to a topic chooses the schema: none takes down the worker, its record is a reject and no more."""

from __future__ import annotations

import time
import tracemalloc
from functools import partial
from typing import Any

import pytest

from bus.pipeline.codec import Decoders, decoder, encoder
from bus.pipeline.envelope import envelope_schema
from bus.pipeline.mapping.compiled import compile_mapping
from bus.pipeline.native.nodes import NotNativeError
from bus.pipeline.native.program import compile_fields_program, compile_mapping_program
from bus.pipeline.normalise import DatasetNormaliser, EntityOutput, Normalise
from bus.pipeline.open_rejects import OpenRejects
from bus.pipeline.writer_schema import MOST_PARTS, BadRecordError
from bus.wire import frame
from tests.property.pipeline.native_mappings import RAW, Raw, entity_of, mapping_of, source_of
from tests.property.pipeline.native_values import blob, number
from tests.stages import through

pytestmark = pytest.mark.usefixtures("codec")


def record(*types: Any, name: str = "R") -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": f"f{i}", "type": each} for i, each in enumerate(types)]}


def array(items: Any, times: int = 1) -> Any:
    for _ in range(times):
        items = {"type": "array", "items": items}
    return items


def doubled(times: int) -> dict[str, Any]:
    """Records with two fields of the one before, spelled out and by name: each has twice the parts."""
    made = record("int", "int", name="R0")
    for i in range(1, times + 1):
        made = record(made, f"R{i - 1}", name=f"R{i}")
    return made


def in_a_row(times: int) -> dict[str, Any]:
    """Records that lie within each other by their names alone."""
    named = [record(f"C{i - 1}" if i else "int", name=f"C{i}") for i in range(times)]
    return record(*named)


SYMBOLS = [f"S{i}" for i in range(100_000)]
NULLS = record(*["null"] * 1_000, name="N")

REFUSED = {
    "two of two of two": (doubled(15), "spells out to more than 10,000 parts"),
    "very wide": (record(*["int"] * 20_000), "spells out to more than 10,000 parts"),
    "very many branches": (record(["null"] * 20_000), "spells out to more than 10,000 parts"),
    "deep": (record(array("int", 150)), "nested more than 100 types deep"),
    "deep by names": (in_a_row(2_000), "nested more than 100 types deep"),
    "items of no bytes": (record(array("null")), "take hardly a byte or none"),
    "beside what only fastavro reads": (record(["null", "int", array(record(name="E"))]), "take hardly a byte or none"),
    "a thousand values in a byte": (record(array(["null", NULLS])), "take hardly a byte or none"),
    "a record that passes for null": (record(record(name="null"), array("null")), "the name of a primitive"),
    "a length below zero": (record(array({"type": "fixed", "name": "F", "size": -1})), "a fixed of no length"),
    "what fastavro would believe": (
        {**record(array("null")), "__fastavro_parsed": True, "__named_schemas": {}},
        "take hardly a byte or none",
    ),
    "no type": (record("nothing"), r"none that can be read \(UnknownType\)"),
    "no fields": ({"type": "record", "name": "R", "fields": 7}, r"none that can be read \(TypeError\)"),
}


@pytest.mark.parametrize(("schema", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_schema_that_would_cost_more_than_its_records_is_refused(schema: dict[str, Any], reason: str) -> None:
    decoders = Decoders()
    decoders.add(1, schema)

    with pytest.raises(BadRecordError, match=reason):
        decoders.schema(1)
    with pytest.raises(BadRecordError, match=reason):
        decoders.decode(1, frame(1))
    with pytest.raises(BadRecordError, match=reason):
        decoder(schema)
    with pytest.raises(NotNativeError, match=reason):
        compile_fields_program(1, schema)


@pytest.mark.parametrize(
    "schema",
    [doubled(90), record(*["int"] * 20_000), record({"type": "enum", "name": "E", "symbols": SYMBOLS}), doubled(10)],
    ids=["two of two of two", "very wide", "a long enum", "about the longest function"],
)
def test_a_schema_is_taken_or_refused_at_once_and_in_little_memory(schema: dict[str, Any]) -> None:
    tracemalloc.start()
    begun = time.process_time()
    decoders = Decoders()
    decoders.add(1, schema)
    with pytest.raises(BadRecordError):
        decoders.decode(1, frame(1))
    seconds, (_, most) = time.process_time() - begun, tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert seconds < 5  # most of it is the tracing
    assert most < 60_000_000


@pytest.mark.parametrize(
    "row",
    [
        record(*[["null", "string"]] * 1_600),  # as many columns as a table of PostgreSQL has
        record(*[["null", array(["null", "long"])]] * 1_600),
        doubled(8),
        record(array(array("long", 20), 20)),
        record({"type": "enum", "name": "E", "symbols": SYMBOLS}),
    ],
    ids=["wide", "arrays", "named", "deep", "enum"],
)
def test_a_schema_of_any_table_is_taken(row: dict[str, Any]) -> None:
    decoders = Decoders()
    decoders.add(1, envelope_schema("d.s", row))

    none = decoders.decode(1, frame(1) + number(2) + b"\0\0" + blob(b"0/1") + b"\0\0" + number(0))
    assert (none["op"], none["after"]) == ("d", None)


def test_the_parts_of_a_schema_are_counted_with_each_name_replaced() -> None:
    hundred = record(*["int"] * 99, name="H")
    full = record(hundred, *["H"] * 98, ["null", record(*["long"] * 98, name="L")])

    decoder(full)  # 1 + 99 times 100 + 99
    full["fields"].append({"name": "one", "type": "int"})
    with pytest.raises(BadRecordError, match=f"{MOST_PARTS:,} parts"):
        decoder(full)


LIST = record("int", ["null", "R"])


def test_a_value_within_itself_is_read_and_without_end_it_is_a_bad_record() -> None:
    read = decoder(LIST)
    found, depth = read(frame(1) + b"\2\2" * 99 + b"\2\0"), 0
    while found:
        found, depth = found["f1"], depth + 1
    assert depth == 100

    with pytest.raises(BadRecordError):
        read(frame(1) + b"\2\2" * 400_000 + b"\2\0")


@pytest.mark.parametrize("schema", [record("R"), record(array("R"))], ids=["a record", "an array"])
def test_a_record_that_holds_itself_whatever_it_is_is_a_bad_record(schema: dict[str, Any]) -> None:
    with pytest.raises(BadRecordError):
        decoder(schema)(frame(1) + b"\2" * 400_000)


@pytest.mark.parametrize("items", ["boolean", "string", "double", {"type": "fixed", "name": "F", "size": 1}])
@pytest.mark.parametrize("kind", [{"type": "array"}, {"type": "map"}], ids=["array", "map"])
def test_there_are_never_more_items_than_bytes(kind: dict[str, Any], items: Any) -> None:
    many = {**kind, "items": items, "values": items}
    with pytest.raises(BadRecordError):
        decoder(record(many))(frame(1) + number(2**40))
    with pytest.raises(BadRecordError):  # a union of several types, which fastavro reads
        decoder(record(["int", "bytes", many]))(frame(1) + number(2) + number(2**40))


def test_what_is_no_record_is_read_by_fastavro() -> None:
    assert decoder({"type": "string"})(frame(1) + blob(b"text")) == "text"


KEY = [{"name": "k", "type": "string"}]
ROW = {"type": "record", "name": "t", "fields": KEY}
MAPPING, ENTITY, SOURCE = mapping_of({"k": {"from": "k"}}, []), entity_of(KEY, ["k"]), source_of(["k"])


def test_its_record_is_a_dead_letter_and_the_lane_goes_on() -> None:
    decoders = Decoders()
    decoders.add(1, envelope_schema("d.s", ROW))
    decoders.add(2, envelope_schema("d.s", {**ROW, "fields": [*KEY, {"name": "more", "type": doubled(40)}]}))
    output = EntityOutput(
        topic="shared.c.e",
        partitions=3,
        event_type=b"c.e.v1",
        revision=1,
        key=("k",),
        compile=partial(compile_mapping, MAPPING, ENTITY, SOURCE, {}),
        encode=encoder(9, ENTITY.spec.avro),
        program=partial(compile_mapping_program, MAPPING, ENTITY, SOURCE, {}, 9),
    )
    stage = Normalise({RAW: [DatasetNormaliser("d.s", output, decoders)]}, OpenRejects(5, [(RAW, 2)]))

    bodies = [frame(writer) + number(0) + b"\0\2" + blob(b"a") + blob(b"0/1") + b"\0\0\0" for writer in (1, 2, 1)]
    made = through(stage, [Raw(b"a", body, headers=[]) for body in bodies])

    assert sorted(each.topic for each in made if each.topic[0] != "_") == ["dlq.d.s", "shared.c.e", "shared.c.e"]
    (letter,) = [dict(each.headers) for each in made if each.topic == "dlq.d.s"]
    assert letter["bus_reject_rule"] == b"undecodable"
    assert b"its schema spells out to more than 10,000 parts" in (letter["bus_reject_reason"] or b"")
