"""How large a schema is once each name in it is replaced by what it names, as readers that are fast do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bus.registry.faults import invalid_schema
from bus.registry.schema import Array, Map, Primitive, Record, Reference, Type, Union

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bus.registry.schema import Schema

MAX_PARTS: Final = 10_000
"""What workers take (`bus.pipeline.writer_schema.MOST_PARTS`); 3 kB of text can spell out to 100,000 parts."""


def refuse_too_many_parts(schema: Schema) -> None:
    """Refuse a schema that would cost its readers far more than its text is long.

    Raises:
        RefusedError: 42201.
    """
    counted: dict[str, int] = {}
    for name, named in schema.named.items():  # each behind those that it uses, but for itself and what it lies within
        fields = named.fields if isinstance(named, Record) else ()
        counted[name] = min(1 + sum(_parts(field.type, counted) for field in fields), MAX_PARTS + 1)
    if _parts(schema.type, counted) > MAX_PARTS:
        raise invalid_schema(f"it spells out to more than {MAX_PARTS:,} parts, with each name replaced by its type")


def _parts(of: Type, counted: Mapping[str, int]) -> int:
    """Types in a type; an optional one is one."""
    match of:
        case Primitive():
            return 1
        case Array():
            return 1 + _parts(of.items, counted)
        case Map():
            return 1 + _parts(of.values, counted)
        case Union():
            return max(1, sum(_parts(each, counted) for each in of.branches) - (Primitive("null") in of.branches))
        case Reference():
            return counted.get(of.name, 1)
