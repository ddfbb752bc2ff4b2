"""An entity's schema is Avro, and its key and its fields' owners agree with it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fastavro.schema import SchemaParseException, UnknownType, parse_schema

from bus.catalogue.avro_type import field_types
from bus.catalogue.entity import Entity
from bus.catalogue.file_text import read_text
from bus.catalogue.load import did_you_mean
from bus.errors import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bus.catalogue.workspace import Workspace

PRIMITIVES = ("string", "int", "long", "float", "double", "boolean", "bytes", "null")
KEY_TYPES = frozenset({"string", "int", "long", "uuid", "date", "enum"})


def schema_fault(schema: dict[str, Any]) -> str:
    """Why a schema is not an Avro record; empty if it is one."""
    if schema.get("type") != "record":
        return "it must be a record"
    try:
        parse_schema(schema)
    except UnknownType as error:
        name = str(error.name).removeprefix(f"{schema.get('namespace', '')}.")  # what fastavro has put before it
        return f"type {name!r} is not known"
    except (SchemaParseException, ValueError, TypeError, KeyError, AttributeError) as error:
        return str(error) or type(error).__name__
    return ""


def check(workspace: Workspace) -> Iterator[Finding]:
    """Schemas that are not Avro, keys that the schema lacks, fields without an owner."""
    for entity in workspace.all(Entity):
        fault = schema_fault(entity.spec.avro)
        if fault:
            yield _not_avro(workspace, entity, fault)
            continue
        yield from _name(workspace, entity)
        yield from _key(workspace, entity)
        yield from _owners(workspace, entity)


def _not_avro(workspace: Workspace, entity: Entity, fault: str) -> Finding:
    """At the line of the .avsc file, where the schema has one, that holds the type which is not known."""
    where, fix = workspace.where(entity, "spec", "schema"), ""
    document = workspace.documents[entity.key]
    named = document.value["spec"].get("schema")
    unknown = re.search(r"'([^']*)' is not known", fault)
    if isinstance(named, str):
        line = _line_of(f'"{unknown[1]}"', document.folder / named) if unknown else 1
        where = f"{document.file.parent / named}:{line}"
    if unknown:
        fix = did_you_mean(unknown[1], PRIMITIVES) or f"there are {', '.join(PRIMITIVES)}"
    return Finding(f"not an Avro schema: {fault}", where, fix)


def _line_of(text: str, file: Path) -> int:
    lines = read_text(file).splitlines()
    return next((number for number, line in enumerate(lines, 1) if text in line), 1)


def _name(workspace: Workspace, entity: Entity) -> Iterator[Finding]:
    schema = entity.spec.avro
    full = schema["name"] if "." in schema["name"] else f"{schema.get('namespace', '')}.{schema['name']}"
    if full != entity.name.replace("-", "_"):
        yield Finding(
            f"the schema is called {full!r}, the entity {entity.name!r}",
            workspace.where(entity, "spec", "schema"),
            "the schema's namespace is the domain, its name the entity's",
        )


def _key(workspace: Workspace, entity: Entity) -> Iterator[Finding]:
    types = field_types(entity.spec.avro)
    for index, name in enumerate(entity.spec.key):
        where = workspace.where(entity, "spec", "key", index)
        if name not in types:
            yield Finding(f"key field {name!r} is not in the schema", where)
        elif types[name].nullable or types[name].name not in KEY_TYPES:
            yield Finding(
                f"key field {name!r} is {'nullable' if types[name].nullable else types[name].name}",
                where,
                f"a key field is one of {', '.join(sorted(KEY_TYPES))}, and never null",
            )


def _owners(workspace: Workspace, entity: Entity) -> Iterator[Finding]:
    types = field_types(entity.spec.avro)
    for name in entity.spec.fields:
        if name not in types:
            yield Finding(f"the schema has no field {name!r}", workspace.where(entity, "spec", "fields", name))
    missing = [name for name in types if name not in entity.spec.fields]
    if missing:
        yield Finding(
            f"no grade and authority for {', '.join(missing)}",
            workspace.where(entity, "spec", "fields"),
            "say `grade` and `authority` of every field of the schema",
        )
