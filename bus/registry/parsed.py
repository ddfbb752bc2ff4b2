"""Stored schemas as trees of types, read once each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bus.registry.avro import read_schema
from bus.registry.faults import invalid_schema
from bus.registry.records import AVRO, Content

if TYPE_CHECKING:
    from bus.registry.records import SchemaReference
    from bus.registry.schema import Schema
    from bus.registry.state import RegistryState

MAX_KEPT: Final = 2_000


class ParsedSchemas:
    """Reads schemas with the references that the state resolves."""

    def __init__(self, state: RegistryState) -> None:
        self._state = state
        self._kept: dict[Content, Schema] = {}

    def of(self, content: Content) -> Schema:
        """The schema as a tree.

        Raises:
            RefusedError: 42201: not valid, not Avro, or a reference leads nowhere.
        """
        if content not in self._kept:
            if content.schema_type != AVRO:
                raise invalid_schema(f"this registry takes Avro only, not {content.schema_type}")
            schema = read_schema(content.schema, [self._referenced(reference) for reference in content.references])
            if len(self._kept) >= MAX_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[content] = schema
        return self._kept[content]

    def received(self, content: Content, *, normalize: bool) -> Content:
        """What is to be stored of a schema that a client sent: compact, or normal.

        Raises:
            RefusedError: 42201.
        """
        schema = self.of(content)
        return replace(content, schema=schema.normal if normalize else schema.compact)

    def _referenced(self, reference: SchemaReference) -> Schema:
        version = self._state.version(reference.subject, reference.version)
        if version is None:
            raise invalid_schema(f"no such reference: {reference.subject} version {reference.version}")
        return self.of(version.content)
