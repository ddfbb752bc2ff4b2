from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_writer

from bus.catalogue.view import Mask, View
from bus.pipeline.mapping.mask import compile_mask, compile_projection


@pytest.mark.parametrize(
    ("mask", "text", "hidden"),
    [
        ("phone", "13812348000", "138****8000"),
        ("name", "张三丰", "张**"),
        ("name", "张三", "张*"),
        ("name", "张", "*"),
        ("id_number", "11010519491231002X", "110105********002X"),
        ({"keep_start": 9, "length": 4}, "江苏省苏州市姑苏区人民路100号", "江苏省苏州市姑苏区****"),
        ({"keep_start": 9, "length": 4}, "江苏省", "****"),
        ({"keep_end": 2, "with": "#"}, "12345", "###45"),
        ("phone", "1234567", "*******"),
        ("phone", "12345678", "123*5678"),
        ("all", "anything", "***"),
        ("phone", "", ""),
    ],
)
def test_masks_hide_the_middle_and_short_texts_whole(mask: Any, text: str, hidden: str) -> None:
    assert compile_mask(Mask.model_validate(mask))(text) == hidden


SCHEMA = {
    "type": "record",
    "name": "person",
    "namespace": "population",
    "fields": [
        {"name": "id_number", "type": "string"},
        {"name": "was", "type": {"type": "enum", "name": "Status", "symbols": ["IN", "OUT"]}},
        {"name": "status", "type": "Status"},
        {"name": "before", "type": ["null", "Status"], "default": None},
        {"name": "phone", "type": ["null", "string"], "default": None},
    ],
}


def view(*fields: str, **masks: str) -> View:
    spec = {"entity": "population.person", "revision": 1, "fields": fields, "masks": masks}
    return View.model_validate({"kind": "View", "metadata": {"name": "portal-person"}, "spec": spec})


def test_a_view_shows_its_fields_in_its_order_and_null_stays_null() -> None:
    _, project = compile_projection(SCHEMA, view("phone", "id_number", phone="phone"))
    record = {"id_number": "1", "was": "IN", "status": "OUT", "before": None, "phone": "13812348000"}
    assert list(project(record).items()) == [("phone", "138****8000"), ("id_number", "1")]
    assert project({**record, "phone": None}) == {"phone": None, "id_number": "1"}
    assert record["phone"] == "13812348000"


def test_a_view_of_one_field() -> None:
    _, project = compile_projection(SCHEMA, view("id_number"))
    assert project({"id_number": "1", "phone": "2"}) == {"id_number": "1"}


def test_the_schema_of_a_view_is_called_after_it_and_keeps_defaults() -> None:
    schema, _ = compile_projection(SCHEMA, view("id_number", "phone"))
    assert (schema["namespace"], schema["name"]) == ("population", "portal_person")
    assert schema["fields"][1] == {"name": "phone", "type": ["null", "string"], "default": None}


def test_a_named_type_is_defined_where_the_view_first_uses_it() -> None:
    schema, project = compile_projection(SCHEMA, view("id_number", "before", "status"))
    record = {"id_number": "1", "was": "IN", "status": "OUT", "before": "IN", "phone": None}
    schemaless_writer(BytesIO(), parse_schema(schema), project(record))
    assert schema["fields"][2]["type"] == "population.Status"
    assert SCHEMA["fields"][2]["type"] == "Status"  # type: ignore[index]
