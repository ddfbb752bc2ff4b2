"""The bytes of `_schemas`: a registry of another make must read ours, and we theirs."""

from __future__ import annotations

import pytest

from bus.kafka.schema_log import LogRecord
from bus.registry import records
from bus.registry.records import Content, SchemaReference, Version

STRING = Content('"string"')
REFERRING = Content('"cn.city.Street"', (SchemaReference("cn.city.Street", "t", 1),))

GOLDEN = [
    (
        records.schema_record(Version("户籍-value", 2, 7, STRING)),
        '{"keytype":"SCHEMA","subject":"户籍-value","version":2,"magic":1}',
        '{"subject":"户籍-value","version":2,"id":7,"schema":"\\"string\\"","deleted":false}',
    ),
    (
        records.schema_record(Version("s", 1, 3, REFERRING, deleted=True)),
        '{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}',
        (
            '{"subject":"s","version":1,"id":3,"references":[{"name":"cn.city.Street","subject":"t","version":1}],'
            r'"schema":"\"cn.city.Street\"","deleted":true}'
        ),
    ),
    (records.erased_record("s", 1), '{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}', None),
    (
        records.level_record("s", "FULL"),
        '{"keytype":"CONFIG","subject":"s","magic":0}',
        '{"compatibilityLevel":"FULL"}',
    ),
    (
        records.level_record(None, "NONE"),
        '{"keytype":"CONFIG","subject":null,"magic":0}',
        '{"compatibilityLevel":"NONE"}',
    ),
    (records.level_record("s", None), '{"keytype":"CONFIG","subject":"s","magic":0}', None),
    (records.mode_record("s", "READONLY"), '{"keytype":"MODE","subject":"s","magic":0}', '{"mode":"READONLY"}'),
    (
        records.deleted_subject_record("s", 4),
        '{"keytype":"DELETE_SUBJECT","subject":"s","magic":0}',
        '{"subject":"s","version":4}',
    ),
    (records.deleted_subject_record("s", None), '{"keytype":"DELETE_SUBJECT","subject":"s","magic":0}', None),
]


@pytest.mark.parametrize(("record", "key", "value"), GOLDEN, ids=[key for _, key, _ in GOLDEN])
def test_a_record_is_byte_for_byte_what_confluents_registry_writes(
    record: LogRecord, key: str, value: str | None
) -> None:
    assert record == LogRecord(key.encode(), None if value is None else value.encode())
