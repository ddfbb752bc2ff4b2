"""A whole mapping: keys, cross-field rules, scopes, and sources whose schema changes."""

from __future__ import annotations

import datetime as dt
import timeit
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer

from bus.catalogue.codelist import CodeList
from bus.catalogue.dataset import Dataset
from bus.catalogue.entity import Entity
from bus.catalogue.mapping import Mapping
from bus.pipeline.mapping.compiled import CompiledMapping, compile_mapping
from bus.pipeline.reject import Reject
from bus.testing.workspaces import population_resources
from tests.unit.mapping.conftest import DATE, MOMENT, TEXT, dataset, entity, mapping, record

if TYPE_CHECKING:
    from tests.unit.mapping.conftest import OneField

ROW = {
    "id": 1,
    "sfzh": "32050819900307005X",
    "xm": " 王小明",
    "xb": "男",
    "csrq": "1990年3月7日",
    "mz": "01",
    "hjdz": "江苏省苏州市姑苏区人民路１００号",
    "jzdz": None,
    "lxdh": "１３８１２３４８０００",
    "xzqhdm": "320508",
    "gxsj": dt.datetime(2026, 3, 1, tzinfo=dt.UTC),
    "bz": None,
    "zp": None,
}
TYPES: dict[str, Any] = {"id": "long", "sfzh": "string", "gxsj": MOMENT, "zp": ["null", "bytes"]}


def population(without: tuple[str, ...] = (), **types: Any) -> tuple[CompiledMapping, dict[str, Any]]:
    """The mapping of the default workspace for some schema of the source, and the entity's schema."""
    workspace = population_resources()
    [one] = workspace.all(Mapping)
    person = workspace.named(Entity)[one.spec.entity]
    source = workspace.named(Dataset)[one.spec.dataset]
    fields = {name: {**TYPES, **types}.get(name, TEXT) for name in ROW if name not in without}
    compiled = compile_mapping(one, person, source, workspace.named(CodeList), record("row", fields))
    return compiled, person.spec.avro


def test_a_row_becomes_a_record_that_the_shared_schema_encodes() -> None:
    compiled, schema = population()
    made = compiled.apply(ROW)
    assert isinstance(made, dict)
    assert (made["full_name"], made["sex"], made["birth_date"]) == ("王小明", "1", dt.date(1990, 3, 7))
    body = BytesIO()
    schemaless_writer(body, parse_schema(schema), made)
    body.seek(0)
    assert schemaless_reader(body, parse_schema(schema), None) == made


def test_the_fields_that_are_read_are_known() -> None:
    assert population()[0].fields_read == set(ROW) - {"id", "zp"}


def test_a_source_field_that_the_record_can_do_without_may_disappear() -> None:
    made = population(without=("lxdh", "bz"))[0].apply(ROW)
    assert isinstance(made, dict)
    assert made["phone"] is None


def test_a_source_field_with_a_default_may_disappear() -> None:
    made = population(without=("xb",))[0].apply(ROW)
    assert isinstance(made, dict)
    assert made["sex"] == "9"


def test_a_required_source_field_that_disappeared_rejects_every_row_and_deletions_still_find_their_key() -> None:
    compiled, _ = population(without=("csrq",))
    assert compiled.apply(ROW) == Reject("missing_field", "birth_date", "the source's rows no longer have csrq")
    assert compiled.entity_key(["32050819900307005X"]) == ["32050819900307005X"]


def test_a_source_field_whose_type_no_longer_fits_rejects_every_row() -> None:
    rejected = population(gxsj="bytes")[0].apply(ROW)
    assert rejected == Reject("type", "updated_at", "a source field of type bytes cannot become timestamp")


def test_a_source_that_begins_to_use_a_date_column_goes_on() -> None:
    made = population(csrq=["null", DATE])[0].apply({**ROW, "csrq": dt.date(1990, 3, 7)})
    assert isinstance(made, dict)
    assert made["birth_date"] == dt.date(1990, 3, 7)


@pytest.mark.parametrize(
    ("change", "rule", "field"),
    [
        ({"csrq": "19900308"}, "birth_date_agrees_with_id", "birth_date"),
        ({"xb": "女"}, "sex_agrees_with_id", "sex"),
        ({"xb": "0"}, None, None),
        ({"xb": None}, None, None),
    ],
)
def test_birth_date_and_sex_agree_with_the_id_number(
    change: dict[str, Any], rule: str | None, field: str | None
) -> None:
    result = population()[0].apply({**ROW, **change})
    assert (result.rule if isinstance(result, Reject) else None) == rule
    assert (result.field if isinstance(result, Reject) else None) == field


def test_a_row_outside_the_scope_of_its_dataset_is_rejected(one_field: OneField) -> None:
    compiled = one_field({"from": "in"}, scope={"field": "id", "prefix": "3205"})
    assert isinstance(compiled.apply({"id": "320508", "in": None}), dict)
    assert compiled.apply({"id": "320108", "in": None}) == Reject(
        "outside_scope", "id", "the key is outside the scope of dataset a.b"
    )


@pytest.mark.parametrize(
    ("declared", "within", "inside", "outside"),
    [
        ("string", {"prefix": "3205"}, "320508", "320108"),
        ("long", {"range": {"to": 7}}, "-7", "8"),
        ("boolean", {"eq": True}, "true", "false"),
        ({"type": "int", "logicalType": "date"}, {"range": {"from": "2026-01-01"}}, "2026-01-01", "2025-12-31"),
        (MOMENT, {"range": {"from": "2026-01-01T08:00:00+08:00"}}, "2026-01-01T00:00:00Z", "2025-12-31T23:59:59Z"),
    ],
)
def test_a_key_outside_the_scope_of_its_dataset_was_never_published(
    declared: Any, within: dict[str, Any], inside: str, outside: str
) -> None:
    compiled = compile_mapping(
        mapping({"number": {"from": "no"}, "kind": {"from": "k"}}, []),
        entity({"number": declared, "kind": "string"}, key=("kind", "number")),
        dataset(key=("no", "k"), scope={"field": "no", **within}),
        {},
        record("row", {"no": declared, "k": "string"}),
    )
    assert compiled.has_published([inside, "a"], None)
    assert not compiled.has_published([outside, "a"], None)
    assert not compiled.has_published([outside, "a"], {"no": None, "k": "a"})
    if declared != "string":
        assert not compiled.has_published(["none of that type", "a"], None)


def test_the_entity_key_is_the_raw_key_in_the_order_of_the_entity() -> None:
    rules = {"number": {"from": "no"}, "year": {"from": "y"}}
    compiled = compile_mapping(
        mapping(rules, []),
        entity({"number": "string", "year": "string"}, key=("year", "number")),
        dataset(key=("no", "y")),
        {},
        record("row", {"no": "long", "y": "string"}),
    )
    assert compiled.entity_key(["7", "2026"]) == ["2026", "7"]
    assert compiled.apply({"no": 7, "y": "2026"}) == {"number": "7", "year": "2026"}


def test_the_population_mapping_costs_at_most_a_few_microseconds() -> None:
    """About 7 µs on the machine where it was written; the bound leaves room for slower and busier ones."""
    compiled, _ = population()
    seconds = min(timeit.repeat(lambda: compiled.apply(ROW), number=2_000, repeat=5))
    assert seconds / 2_000 < 30e-6
