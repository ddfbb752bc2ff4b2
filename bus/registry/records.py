"""The records of `_schemas`, byte for byte as Confluent's registry writes them.

Keys decide what compaction keeps, so their order, spacing and escapes are part of the format.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from bus.kafka.schema_log import LogRecord

AVRO: Final = "AVRO"


@dataclass(frozen=True, slots=True)
class SchemaReference:
    """A schema that another one uses.

    Attributes:
        name: the full name of the type.
    """

    name: str
    subject: str
    version: int


@dataclass(frozen=True, slots=True)
class Content:
    """What makes two schemas the same, and gives them one id."""

    schema: str
    references: tuple[SchemaReference, ...] = ()
    schema_type: str = AVRO

    def json(self) -> dict[str, Any]:
        """As it stands in answers and values: type and references only when they say something."""
        found: dict[str, Any] = {} if self.schema_type == AVRO else {"schemaType": self.schema_type}
        if self.references:
            found["references"] = [
                {"name": r.name, "subject": r.subject, "version": r.version} for r in self.references
            ]
        return {**found, "schema": self.schema}


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a subject."""

    subject: str
    number: int
    id: int
    content: Content
    deleted: bool = False

    def json(self) -> dict[str, Any]:
        """As REST shows it."""
        shown = {"subject": self.subject, "version": self.number, "id": self.id, **self.content.json()}
        return shown | {"deleted": True} if self.deleted else shown


def schema_record(version: Version) -> LogRecord:
    """A version, live or softly deleted."""
    return LogRecord(
        _schema_key(version.subject, version.number), _bytes({**version.json(), "deleted": version.deleted})
    )


def erased_record(subject: str, number: int) -> LogRecord:
    """A version deleted for good."""
    return LogRecord(_schema_key(subject, number), None)


def deleted_subject_record(subject: str, up_to: int | None) -> LogRecord:
    """All versions up to this one softly deleted; None takes the record itself away."""
    value = None if up_to is None else _bytes({"subject": subject, "version": up_to})
    return LogRecord(_key("DELETE_SUBJECT", subject), value)


def level_record(subject: str | None, level: str | None) -> LogRecord:
    """The compatibility level of a subject, or of all (subject None); None takes it away."""
    return LogRecord(_key("CONFIG", subject), None if level is None else _bytes({"compatibilityLevel": level}))


def mode_record(subject: str | None, mode: str | None) -> LogRecord:
    """The mode of a subject, or of all (subject None); None takes it away."""
    return LogRecord(_key("MODE", subject), None if mode is None else _bytes({"mode": mode}))


def highest_id_record(highest: int) -> LogRecord:
    """Keeps the highest id ever given when its schema is deleted for good: an id must never have two schemas.

    A NOOP record, whose value other registries do not read.
    """
    return LogRecord(b'{"keytype":"NOOP","magic":0}', _bytes({"highestId": highest}))


def _schema_key(subject: str, number: int) -> bytes:
    return _bytes({"keytype": "SCHEMA", "subject": subject, "version": number, "magic": 1})


def _key(keytype: str, subject: str | None) -> bytes:
    return _bytes({"keytype": keytype, "subject": subject, "magic": 0})


def _bytes(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
