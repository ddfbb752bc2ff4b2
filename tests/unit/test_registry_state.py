"""The fold of `_schemas`: what its records say is what REST shows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bus.registry import records
from bus.registry.changes import Changes
from bus.registry.compatibility import Level
from bus.registry.faults import RefusedError
from bus.registry.parsed import ParsedSchemas
from bus.registry.records import Content, Version
from bus.registry.state import RegistryState

if TYPE_CHECKING:
    from bus.kafka.schema_log import LogRecord

STRING, LONG = Content('"string"'), Content('"long"')


@pytest.fixture
def state() -> RegistryState:
    return RegistryState()


def replay(state: RegistryState, *written: LogRecord) -> None:
    for record in written:
        state.apply(record.key, record.value)


def key(keytype: str, **rest: object) -> bytes:
    return json.dumps({"keytype": keytype, **rest}).encode()


def test_a_version_is_found_by_subject_id_and_content(state: RegistryState) -> None:
    replay(state, records.schema_record(Version("s", 1, 7, STRING)))

    assert state.subjects() == ["s"]
    assert state.content(7) == STRING
    assert state.id_of(STRING) == 7
    assert state.highest_id == 7


def test_a_soft_delete_is_read_in_both_forms(state: RegistryState) -> None:
    one, two = Version("s", 1, 1, STRING), Version("s", 2, 2, LONG)
    replay(state, records.schema_record(one), records.schema_record(two))

    replay(state, records.schema_record(Version("s", 2, 2, LONG, deleted=True)))
    assert [version.number for version in state.versions("s")] == [1]

    replay(state, records.deleted_subject_record("s", 1))
    assert state.subjects() == []
    assert state.subjects(deleted=True) == ["s"]
    assert state.content(1) == STRING


def test_a_deleted_subject_record_deletes_only_up_to_its_version(state: RegistryState) -> None:
    replay(state, records.schema_record(Version("s", 1, 1, STRING)), records.deleted_subject_record("s", 1))
    replay(state, records.schema_record(Version("s", 2, 1, STRING)))

    assert [version.number for version in state.versions("s")] == [2]


def test_a_hard_delete_takes_the_id_away_but_never_gives_it_again(state: RegistryState) -> None:
    changes = Changes(state, ParsedSchemas(state))
    first, written = changes.register("s", STRING, normalize=False)
    replay(state, *written)
    for permanent in (False, True):
        replay(state, *changes.delete_subject("s", permanent=permanent)[1])
    assert state.content(first) is None

    compacted = RegistryState()  # compaction has taken the deleted version away; what is left is read anew
    replay(compacted, records.highest_id_record(first))
    second, _ = Changes(compacted, ParsedSchemas(compacted)).register("s", LONG, normalize=False)

    assert second > first


def test_the_first_schema_of_an_id_stays(state: RegistryState) -> None:
    replay(state, records.schema_record(Version("s", 1, 7, STRING)), records.schema_record(Version("t", 1, 7, LONG)))

    assert state.content(7) == STRING
    assert state.subjects() == ["s"]


def test_the_global_level_is_read_with_a_null_subject_or_none(state: RegistryState) -> None:
    state.apply(b'{"keytype":"CONFIG","subject":null,"magic":0}', b'{"compatibilityLevel":"FULL"}')
    assert state.level("anything") is Level.FULL

    state.apply(b'{"keytype":"CONFIG","magic":0}', b'{"compatibilityLevel":"NONE"}')
    assert state.level("anything") is Level.NONE

    state.apply(b'{"keytype":"CONFIG","magic":0}', None)
    assert state.level("anything") is Level.BACKWARD


@pytest.mark.parametrize(
    ("unknown", "value"),
    [
        (key("NOOP", magic=0), None),
        (key("CONTEXT", tenant="default", context=".", magic=0), b'{"tenant":"default","context":"."}'),
        (key("ASSOC", resourceId="x"), b'{"subject":"s"}'),
        (key("CLEAR_SUBJECT", subject="s", magic=0), b'{"subject":"s"}'),
        (key("OF_TOMORROW"), b"{}"),
        (b"not JSON", b"\xff"),
        (b"[]", None),
        (key("SCHEMA", subject="s", version="x"), b"{}"),
        (key("SCHEMA", subject="\ud800", version=1), b'{"id":9,"schema":"x"}'),
        (key("CONFIG", subject="s"), b'{"compatibilityLevel":"SIDEWAYS"}'),
        (b"[" * 100_000, None),
    ],
)
def test_records_that_say_nothing_to_us_change_nothing(state: RegistryState, unknown: bytes, value: bytes) -> None:
    replay(state, records.schema_record(Version("s", 1, 1, STRING)))

    state.apply(unknown, value)

    assert [version.number for version in state.versions("s")] == [1]
    assert state.levels == {}


def test_what_is_written_reads_back_as_it_was_decided(state: RegistryState) -> None:
    changes = Changes(state, ParsedSchemas(state))

    for schema in ('"string"', '["null","string"]', ' "string" '):
        replay(state, *changes.register("s", Content(schema), normalize=False)[1])

    assert [(version.number, version.id) for version in state.versions("s")] == [(1, 1), (2, 2)]
    with pytest.raises(RefusedError) as refused:
        changes.register("s", Content('"long"'), normalize=False)
    assert refused.value.status == 409
