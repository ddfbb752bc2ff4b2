"""Media types, errors and hostile input: points 1 to 4 and 15 of what real clients depend on."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Rest

    Declare = Callable[..., dict[str, Any]]

V1 = "application/vnd.schemaregistry.v1+json"
CLIENTS_LIST = f"{V1},application/vnd.schemaregistry+json; qs=0.9,application/json; qs=0.5"


@pytest.mark.parametrize("accept", [None, "*/*", CLIENTS_LIST, V1])
def test_answers_are_of_the_type_that_clients_expect(rest: Rest, accept: str | None) -> None:
    answer = rest("GET", "/subjects", headers={"Accept": accept} if accept else {})

    assert answer.status == 200
    assert answer.content_type.startswith(V1)


@pytest.mark.parametrize(
    "sent", [V1, f"{V1}; charset=utf-8", "application/vnd.schemaregistry+json", "application/json;charset=UTF-8"]
)
def test_bodies_are_taken_in_these_types(rest: Rest, subject: str, sent: str) -> None:
    body = {"schema": '"string"', "unknown": {"property": 1}}
    answer = rest(
        "POST",
        f"/subjects/{subject}/versions?normalize=False&what=ever",
        body,
        {"Content-Type": sent, "Confluent-Accept-Unknown-Properties": "true"},
    )

    assert answer.status == 200


def test_plain_text_is_refused(rest: Rest, subject: str) -> None:
    answer = rest("POST", f"/subjects/{subject}/versions", b'{"schema":"\\"string\\""}', {"Content-Type": "text/plain"})

    assert (answer.status, answer.code) == (415, 415)


def test_every_error_is_a_code_and_a_message(rest: Rest, subject: str) -> None:
    assert rest("GET", "/nowhere").code == 404
    assert rest("GET", "/associations/subjects/x").status == 404
    assert rest("GET", "/schemas/ids/abc").status == 404
    assert rest("PATCH", "/subjects").code == 405
    assert rest("PUT", f"/subjects/{subject}", {}).code == 405


@pytest.mark.parametrize(
    "schema",
    [
        "",
        "  ",
        "{",
        "string",
        '"strin"',
        "null",
        "[]]",
        '{"type":"record","name":"R"}',
        '{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}',
        '{"type":"record","name":"1R","fields":[]}',
        '{"type":"record","name":"R","fields":[{"name":"a-b","type":"int"}]}',
        '{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":"x"}]}',
        '{"type":"enum","name":"E","symbols":["A","A"]}',
        '{"type":"fixed","name":"F","size":-1}',
        '["int",["null","string"]]',
        '["int","int"]',
        '[{"type":"fixed","name":"F","size":1},{"type":"enum","name":"F","symbols":[]}]',
        '{"type":"array","items":' * 5000 + '"int"' + "}" * 5000,
        "[" * 5000 + "]" * 5000,
    ],
)
def test_a_schema_that_is_none_is_refused(rest: Rest, subject: str, schema: str) -> None:
    answer = rest.register(subject, schema)

    assert (answer.status, answer.code) == (422, 42201)
    assert rest("GET", f"/subjects/{subject}/versions").code == 40401


def test_a_body_without_a_schema_or_of_another_type_is_refused(rest: Rest, subject: str) -> None:
    path = f"/subjects/{subject}/versions"

    assert rest("POST", path, {}).code == 42201
    assert rest("POST", path, {"schema": '"string"', "schemaType": "XML"}).code == 42201
    assert rest("POST", path, {"schema": "{}", "schemaType": "JSON"}).code == 42201


@pytest.mark.parametrize("body", [b"[1]", b"7", b"\xff\xfe", b"{", b"", b'{"schema":"\\"\xff\\""}', b"[" * 100_000])
def test_a_body_that_is_no_object_is_the_clients_mistake(rest: Rest, subject: str, body: bytes) -> None:
    answer = rest("POST", f"/subjects/{subject}/versions", body)

    assert 400 <= answer.status < 500
    assert answer.code


@pytest.mark.parametrize(
    "schema",
    [
        json.dumps({"type": "record", "name": "R", "doc": "\ud800", "fields": []}),
        '{"type":"record","name":"R","fields":[],"n":' + "9" * 10_000 + "}",
        '{"type":"record","name":"R","fields":[],"n":NaN}',
    ],
)
def test_json_that_python_reads_too_leniently_is_refused(rest: Rest, subject: str, schema: str) -> None:
    assert rest.register(subject, schema).code == 42201


def test_twenty_megabytes_are_refused_within_seconds(rest: Rest, subject: str) -> None:
    start = time.monotonic()
    try:
        status = rest("POST", f"/subjects/{subject}/versions", {"schema": '"' + "x" * 20_000_000 + '"'}).status
    except (BrokenPipeError, ConnectionResetError):
        status = 413  # the server hung up before it had read it all
    assert 400 <= status < 500
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("name", ["with/slash", "with space", "户籍-value", "..", "%2F", "a+b", "q?#&", '"quoted"'])
def test_a_subject_is_only_a_name(rest: Rest, unique: Callable[[str], str], name: str) -> None:
    subject = name if name == ".." else unique(name)

    rest.id_of(subject, '"string"')

    assert subject in rest("GET", "/subjects").json
    assert rest("GET", f"/subjects/{quote(subject, safe='')}/versions").json == [1]
    rest("DELETE", f"/subjects/{quote(subject, safe='')}")
    rest("DELETE", f"/subjects/{quote(subject, safe='')}?permanent=true")


@pytest.mark.parametrize("name", ["%00", "a%0Ab", "%FF"])
def test_a_name_with_control_characters_is_refused(rest: Rest, name: str) -> None:
    answer = rest("POST", f"/subjects/{name}/versions", {"schema": '"string"'})

    assert (answer.status, answer.code) == (422, 42208)


def test_names_never_break_the_lists(rest: Rest, subject: str, record: Declare) -> None:
    rest.id_of(f"{subject} \u2028 \U0001f600", record("id"))

    assert rest("GET", "/subjects").status == 200
    assert rest("GET", "/schemas").status == 200
