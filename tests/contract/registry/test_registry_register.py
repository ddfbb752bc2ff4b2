"""Register and look up: points 5 to 9 of what real clients depend on."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Rest

    Declare = Callable[..., dict[str, Any]]


def test_a_registered_schema_can_be_read_by_id_at_once(rest: Rest, subject: str, record: Declare) -> None:
    schema_id = rest.id_of(subject, record("id"))

    assert schema_id > 0
    assert json.loads(rest("GET", f"/schemas/ids/{schema_id}").json["schema"]) == record("id")


def test_the_same_schema_keeps_its_id_under_any_subject_and_any_white_space(
    rest: Rest, subject: str, record: Declare
) -> None:
    schema_id = rest.id_of(subject, record("id"))

    assert rest.id_of(subject, json.dumps(record("id"), indent=8)) == schema_id
    assert rest.id_of(f"other-{subject}", record("id")) == schema_id
    assert rest("GET", f"/subjects/{subject}/versions").json == [1]


def test_confluents_client_registers_and_looks_up(client: SchemaRegistryClient, subject: str, record: Declare) -> None:
    schema = Schema(json.dumps(record("id")), "AVRO")

    schema_id = client.register_schema(subject, schema)

    assert client.register_schema(subject, schema) == schema_id
    found = client.lookup_schema(subject, schema)
    assert (found.subject, found.version, found.schema_id) == (subject, 1, schema_id)
    assert client.get_latest_version(subject).version == 1
    assert json.loads(client.get_schema(schema_id).schema_str or "") == record("id")
    assert subject in client.get_subjects()


def test_a_lookup_never_creates(client: SchemaRegistryClient, rest: Rest, subject: str, record: Declare) -> None:
    unknown = rest("POST", f"/subjects/{subject}", {"schema": json.dumps(record("id"))})
    assert (unknown.status, unknown.code) == (404, 40401)

    client.register_schema(subject, Schema(json.dumps(record("id")), "AVRO"))
    with pytest.raises(SchemaRegistryError) as refused:
        client.lookup_schema(subject, Schema(json.dumps(record("other")), "AVRO"))

    assert refused.value.error_code == 40403
    assert client.get_versions(subject) == [1]


def test_what_stands_beside_an_id(rest: Rest, subject: str, record: Declare) -> None:
    schema_id = rest.id_of(subject, record("id"))

    shown = rest("GET", f"/schemas/ids/{schema_id}").json
    assert isinstance(shown["schema"], str)
    assert shown.get("schemaType", "AVRO") == "AVRO"
    assert rest("GET", f"/schemas/ids/{schema_id}/subjects").json == [subject]
    assert rest("GET", f"/schemas/ids/{schema_id}/versions").json == [{"subject": subject, "version": 1}]
    assert rest("GET", f"/schemas/ids/{schema_id}/schema").json == record("id")
    assert rest("GET", "/schemas/ids/999999999").code == 40403


@pytest.mark.parametrize(
    ("version", "code"), [("0", 42202), ("abc", 42202), ("-2", 42202), ("99999999999", 42202), ("7", 40402)]
)
def test_version_numbers_that_are_none(rest: Rest, subject: str, record: Declare, version: str, code: int) -> None:
    rest.id_of(subject, record("id"))

    assert rest("GET", f"/subjects/{subject}/versions/{version}").code == code


def test_latest_and_minus_one_are_the_newest_version(rest: Rest, subject: str, record: Declare) -> None:
    rest.id_of(subject, record("id"))
    rest.id_of(subject, record("id", "name?"))

    assert rest("GET", f"/subjects/{subject}/versions/latest").json["version"] == 2
    assert rest("GET", f"/subjects/{subject}/versions/-1").json["version"] == 2
    assert rest("GET", "/subjects/nobody-knows-it/versions/1").code == 40401


def test_versions_have_no_gaps_under_concurrency(rest: Rest, subject: str, record: Declare) -> None:
    schemas = [record("id", f"name{i}?") for i in range(12)]

    with ThreadPoolExecutor(6) as pool:
        ids = list(pool.map(lambda schema: rest.id_of(subject, schema), schemas))

    assert len(set(ids)) == 12
    assert rest("GET", f"/subjects/{subject}/versions").json == list(range(1, 13))


def test_equivalent_spellings_share_one_id_when_normalised(rest: Rest, subject: str, record: Declare) -> None:
    name = record()["name"]
    spellings = [
        {"type": "record", "name": f"cn.city.{name}", "fields": [{"name": "id", "type": "string"}]},
        {
            "name": name,
            "namespace": "cn.city",
            "fields": [{"type": {"type": "string"}, "name": "id"}],
            "type": "record",
        },
    ]

    ids = {rest.id_of(subject, spelling, "?normalize=TRUE") for spelling in spellings}

    assert len(ids) == 1
    assert rest("GET", f"/subjects/{subject}/versions").json == [1]


def test_references_are_returned_and_listed_by_what_they_refer_to(rest: Rest, subject: str, record: Declare) -> None:
    street = record("name")
    rest.id_of(f"{subject}-street", street)
    references = [{"name": street["name"], "subject": f"{subject}-street", "version": 1}]
    house = {"type": "record", "name": "House", "fields": [{"name": "street", "type": street["name"]}]}

    schema_id = rest.id_of(subject, house, references=references)

    assert rest("GET", f"/schemas/ids/{schema_id}").json["references"] == references
    assert rest("GET", f"/subjects/{subject}-street/versions/1/referencedby").json == [schema_id]
    assert rest("DELETE", f"/subjects/{subject}-street/versions/1").code == 42206
    missing = [{**references[0], "version": 9}]
    assert rest.register(f"{subject}-2", house, references=missing).code == 42201
