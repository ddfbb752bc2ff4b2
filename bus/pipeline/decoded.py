"""A record's value for people: by its writer's schema, or as what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bus.errors import SchemaNotFoundError
from bus.pipeline.codec import UnknownSchemaError
from bus.pipeline.writer_schema import BadRecordError
from bus.wire import BadFrameError, schema_id

if TYPE_CHECKING:
    from bus.kafka.registry_client import SchemaRegistry
    from bus.pipeline.codec import Decoders


async def decoded(value: bytes | None, decoders: Decoders, registry: SchemaRegistry) -> Any:
    """What the value says; its text, or its length, where it is not Avro (dead letters may hold anything)."""
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
            return f"({len(value)} bytes that are not Avro)"
