"""A record's value for people: by its writer's schema, or as what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bus.errors import SchemaNotFoundError
from bus.pipeline.codec import UnknownSchemaError
from bus.pipeline.writer_schema import BadRecordError
from bus.wire import BadFrameError, schema_id

if TYPE_CHECKING:
    from bus.kafka.registry_client import SchemaRegistry
    from bus.pipeline.codec import Decoders

MOST_SHOWN: Final = 1_000
"""Bytes of a value that has no form for people."""


async def decoded(value: bytes | None, decoders: Decoders, registry: SchemaRegistry) -> Any:
    """What the value says; its text, or its bytes escaped, where it is not Avro (dead letters may hold anything)."""
    if value is None:
        return None
    try:
        writer = schema_id(value)
        try:
            return decoders.decode(writer, value)
        except UnknownSchemaError:
            decoders.add(writer, await registry.schema(writer))
            return decoders.decode(writer, value)
    except (BadFrameError, BadRecordError, SchemaNotFoundError):
        try:
            return value.decode()
        except UnicodeDecodeError:
            told = value[:MOST_SHOWN].decode("utf-8", "backslashreplace")
            return f"({len(value)} bytes that are neither Avro nor UTF-8) {told}"
