from __future__ import annotations

import hashlib
from io import BytesIO
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_writer

from bus.catalogue.view import Mask, View
from bus.pipeline.mapping.mask import Pseudonym, compile_id, compile_key, compile_mask, compile_projection


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


def test_what_a_view_leaves_as_it_is_is_the_entitys_own_for_all_its_views() -> None:
    one, other = (compile_projection(SCHEMA, view("phone", *more))[0]["fields"][0] for more in ((), ("id_number",)))
    assert one is other is SCHEMA["fields"][4]


ID = "32050819900307101X"


def test_a_pseudonym_is_the_same_for_the_same_text_and_key_and_tells_its_algorithm() -> None:
    hide = Pseudonym(b"k" * 32)

    assert hide(ID) == "hmac-sha256:" + hashlib.new("sha256", _outer(b"k" * 32, ID.encode())).hexdigest()
    assert hide(ID) == Pseudonym(b"k" * 32)(ID) != Pseudonym(b"l" * 32)(ID)
    assert ID not in hide(ID)


def _outer(key: bytes, message: bytes) -> bytes:
    """HMAC's definition, written out: the outer hash's input."""
    padded = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded) + message).digest()
    return bytes(byte ^ 0x5C for byte in padded) + inner


def test_a_pseudonymised_key_field_is_hidden_in_the_key_as_in_the_record() -> None:
    hides = {"id_number": Pseudonym(b"k" * 32)}
    _, project = compile_projection(SCHEMA, view("id_number"), hides)
    key = compile_key(["id_number"], hides)

    assert key is not None
    assert project({"id_number": ID})["id_number"].encode() == key(ID.encode())


def test_only_the_pseudonymised_part_of_a_key_is_hidden() -> None:
    hide = Pseudonym(b"k" * 32)
    key = compile_key(["division", "id_number"], {"id_number": hide})

    assert key is not None
    assert key(b'["320508","1"]') == f'["320508","{hide("1")}"]'.encode()
    assert compile_key(["division"], {"id_number": hide}) is None


def test_the_id_of_a_change_does_not_join_a_pseudonymised_view_with_another() -> None:
    hides = {"id_number": Pseudonym(b"k" * 32)}
    plain, hidden = view("id_number"), view("phone", "id_number")
    one, other = (compile_id(topic, hidden, hides) for topic in ("view.one.v1", "view.other.v1"))
    assert compile_id("view.one.v1", plain, {}) is None
    assert one is not None
    assert other is not None

    change = b"00000001-8e338734e6390b04/1866/m1/v1"
    shown = {change, one(change), other(change)}

    assert len(shown) == 3
    assert one(change) == one(change), "so that a change that comes twice is known"
    assert one(change) != one(change + b"0")
    assert b"1866" not in one(change)
