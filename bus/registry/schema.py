"""Avro schemas as a tree of types, and the spellings of one that count as the same.

A registry stores the *compact* spelling: the text without white space, nothing else changed. The *normal* spelling
also unifies names, `{"type": "string"}` and the order of attributes; it keeps docs, defaults and logical types, unlike
Avro's Parsing Canonical Form.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

PRIMITIVES: Final = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


@dataclass(frozen=True, slots=True)
class Primitive:
    """One of the eight primitive types.

    Attributes:
        decimal: precision and scale, if it is a decimal.
    """

    kind: str
    decimal: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Array:
    """An array of items of one type."""

    items: Type
    kind: str = "array"


@dataclass(frozen=True, slots=True)
class Map:
    """A map from strings to values of one type."""

    values: Type
    kind: str = "map"


@dataclass(frozen=True, slots=True)
class Union:
    """One of several types."""

    branches: tuple[Type, ...]
    kind: str = "union"


@dataclass(frozen=True, slots=True)
class Reference:
    """A named type, by its full name; `Schema.named` holds it."""

    name: str
    kind: str = "reference"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a record."""

    name: str
    type: Type
    aliases: frozenset[str]
    has_default: bool


@dataclass(frozen=True, slots=True)
class Record:
    """A record; `name` and the aliases are full names."""

    name: str
    fields: tuple[Field, ...]
    aliases: frozenset[str]
    kind: str = "record"


@dataclass(frozen=True, slots=True)
class Enum:
    """An enumeration; `name` and the aliases are full names."""

    name: str
    symbols: tuple[str, ...]
    aliases: frozenset[str]
    has_default: bool
    kind: str = "enum"


@dataclass(frozen=True, slots=True)
class Fixed:
    """So many bytes; `name` and the aliases are full names."""

    name: str
    size: int
    aliases: frozenset[str]
    decimal: tuple[int, int] | None = None
    kind: str = "fixed"


Named = Record | Enum | Fixed
Type = Primitive | Array | Map | Union | Reference


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema that was read.

    Attributes:
        type: its top; named types are behind references.
        named: every named type by full name, those of referenced schemas included.
        compact: the text without white space.
        normal: the normalised text.
    """

    type: Type
    named: Mapping[str, Named]
    compact: str
    normal: str


def compact_json(value: Any) -> str:
    """JSON without white space, non-ASCII text as it is.

    Raises:
        ValueError: half a surrogate pair, which no UTF-8 can carry.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    text.encode()
    return text
