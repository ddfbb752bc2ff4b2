"""Compatibility, levels, modes and deletion: points 10 to 14 of what real clients depend on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka.schema_registry import (
    ConfigCompatibilityLevel,
    Schema,
    SchemaRegistryClient,
    SchemaRegistryError,
    ServerConfig,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Rest

    Declare = Callable[..., dict[str, Any]]


def test_backward_is_the_default_and_refuses_a_new_field_without_a_default(
    client: SchemaRegistryClient, subject: str, record: Declare
) -> None:
    client.register_schema(subject, Schema(json.dumps(record("id")), "AVRO"))

    with pytest.raises(SchemaRegistryError) as refused:
        client.register_schema(subject, Schema(json.dumps(record("id", "name")), "AVRO"))

    assert refused.value.http_status_code == 409
    assert refused.value.error_code in (409, 40901)
    assert client.get_versions(subject) == [1]


@pytest.mark.parametrize(
    ("level", "adding", "adding_optional", "removing"),
    [
        ("NONE", True, True, True),
        ("BACKWARD", False, True, True),
        ("FORWARD", True, True, False),
        ("FULL", False, True, False),
    ],
)
def test_what_a_level_allows(  # noqa: PLR0913, PLR0917
    rest: Rest, subject: str, record: Declare, level: str, adding: bool, adding_optional: bool, removing: bool
) -> None:
    rest("PUT", f"/config/{subject}", {"compatibility": level})
    rest.id_of(subject, record("id", "name"))

    def allowed(*fields: str) -> bool:
        body = {"schema": json.dumps(record(*fields))}
        answer = rest("POST", f"/compatibility/subjects/{subject}/versions", body).json
        verdict: bool = answer["is_compatible"]
        return verdict

    assert allowed("id", "name", "age") is adding
    assert allowed("id", "name", "age?") is adding_optional
    assert allowed("id") is removing


def test_transitive_levels_compare_with_every_version(rest: Rest, subject: str, record: Declare) -> None:
    rest("PUT", f"/config/{subject}", {"compatibility": "BACKWARD"})
    rest.id_of(subject, record("id"))
    rest.id_of(subject, record("id", "name?"))
    last = record("id", "name")  # reads version 2, not version 1

    assert rest("POST", f"/compatibility/subjects/{subject}/versions", {"schema": json.dumps(last)}).json[
        "is_compatible"
    ]
    rest("PUT", f"/config/{subject}", {"compatibility": "backward_transitive"})

    assert rest.register(subject, last).status == 409


def test_trying_a_schema_against_one_version(rest: Rest, subject: str, record: Declare) -> None:
    body = {"schema": json.dumps(record("id", "name"))}
    path = f"/compatibility/subjects/{subject}/versions"
    assert rest("POST", f"{path}/latest", body).json["is_compatible"] is True
    assert rest("POST", f"{path}/3", body).code == 40402
    assert rest("POST", f"{path}/abc", body).code == 42202

    rest.id_of(subject, record("id"))
    answer = rest("POST", f"{path}/latest?verbose=true", body).json
    assert answer["is_compatible"] is False
    assert any("name" in message for message in answer["messages"])


def test_a_level_is_set_shown_and_taken_away(client: SchemaRegistryClient, rest: Rest, subject: str) -> None:
    assert rest("GET", f"/config/{subject}").code in (40408, 40401)
    assert rest("GET", f"/config/{subject}?defaultToGlobal=true").json["compatibilityLevel"] == "BACKWARD"

    assert rest("PUT", f"/config/{subject}", {"compatibility": "FULL"}).json["compatibility"] == "FULL"
    assert rest("GET", f"/config/{subject}").json["compatibilityLevel"] == "FULL"
    client.set_config(subject, ServerConfig(compatibility=ConfigCompatibilityLevel.FORWARD))
    assert rest("GET", f"/config/{subject}").json["compatibilityLevel"] == "FORWARD"

    client.delete_config(subject)
    assert rest("GET", f"/config/{subject}").code in (40408, 40401)
    assert rest("PUT", f"/config/{subject}", {"compatibility": "SIDEWAYS"}).code == 42203


def test_a_read_only_subject_takes_no_schema(rest: Rest, subject: str, record: Declare) -> None:
    assert rest("GET", "/mode").json == {"mode": "READWRITE"}
    assert rest("PUT", f"/mode/{subject}", {"mode": "READONLY"}).json["mode"] == "READONLY"

    assert rest.register(subject, record("id")).code == 42205
    assert rest("PUT", f"/mode/{subject}", {"mode": "SOMETIMES"}).code == 42204

    rest("DELETE", f"/mode/{subject}")
    assert rest.register(subject, record("id")).status == 200
    assert rest.register(subject, record("id", "more?"), id=123456).code == 42205


def test_import_mode_takes_the_id_that_is_given(rest: Rest, subject: str, record: Declare) -> None:
    rest("PUT", f"/mode/{subject}", {"mode": "IMPORT"})
    given = rest.id_of(f"{subject}-first", record("x")) + 1_000

    assert rest.id_of(subject, record("id"), id=given, version=5) == given

    assert rest("GET", f"/subjects/{subject}/versions").json == [5]
    assert rest.register(subject, record("id", "other"), id=given, version=6).code == 42205


def test_a_version_is_deleted_softly_and_then_for_good(rest: Rest, subject: str, record: Declare) -> None:
    schema_id = rest.id_of(subject, record("id"))
    path = f"/subjects/{subject}/versions/1"
    assert rest("DELETE", f"{path}?permanent=true").code == 40407

    assert rest("DELETE", path).json == 1
    assert rest("DELETE", path).code == 40406
    assert rest("GET", f"/schemas/ids/{schema_id}").status == 200
    assert rest("GET", f"/subjects/{subject}/versions").code == 40401
    assert rest("GET", f"/subjects/{subject}/versions?deleted=True").json == [1]
    assert rest("GET", f"{path}?deleted=true").json["id"] == schema_id
    assert subject not in rest("GET", "/subjects").json
    assert subject in rest("GET", "/subjects?deleted=true").json

    assert rest("DELETE", f"{path}?permanent=true").json == 1
    assert rest("GET", f"/subjects/{subject}/versions?deleted=true").code == 40401
    assert rest("GET", f"/schemas/ids/{schema_id}").code == 40403


def test_a_schema_registered_again_after_a_soft_delete_keeps_its_id(rest: Rest, subject: str, record: Declare) -> None:
    schema_id = rest.id_of(subject, record("id"))
    assert rest("DELETE", f"/subjects/{subject}").json == [1]

    assert rest.id_of(subject, record("id")) == schema_id
    assert rest("GET", f"/subjects/{subject}/versions").json == [2]


def test_a_subject_is_deleted_softly_and_then_for_good(
    client: SchemaRegistryClient, rest: Rest, subject: str, record: Declare
) -> None:
    highest = rest.id_of(subject, record("id"))
    highest = max(highest, rest.id_of(subject, record("id", "name?")))
    assert rest("DELETE", f"/subjects/{subject}?permanent=true").code == 40405

    assert client.delete_subject(subject) == [1, 2]
    assert rest("DELETE", f"/subjects/{subject}").code == 40404
    assert client.delete_subject(subject, permanent=True) == [1, 2]
    assert rest("DELETE", f"/subjects/{subject}").code == 40401

    again = rest.id_of(subject, record("something", "else"))
    assert again > highest, "an id never has two schemas"
    assert rest("GET", f"/subjects/{subject}/versions").json == [1]
