"""PostgreSQL's column types: their Avro schemas, and readers from PostgreSQL's text form to what fastavro encodes.

A type that Avro has no word for keeps PostgreSQL's own text. No value is ever replaced: what a reader cannot read
(`infinity`, a year before 1, NaN in a decimal) raises, and the runtime puts the change into the DLQ.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_DIGITS: Final = 38
"""Of a decimal that 128 bits hold."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class PgType:
    """A type as `pg_type` describes it.

    Attributes:
        name: `pg_type.typname`.
        element: the element's type of an array.
        base: the base type of a domain, and the domain's own modifier.
        labels: of an enum, in order.
    """

    name: str
    element: PgType | None = None
    base: PgType | None = None
    base_modifier: int = -1
    labels: tuple[str, ...] = ()


class UnknownLabelError(ValueError):
    """A label that the enum did not have when its type was learnt."""


@dataclass(frozen=True, slots=True)
class ColumnType:
    """How a column is written in Avro, and read from PostgreSQL's text.

    Attributes:
        schema: the Avro type.
        read: from the text to what fastavro encodes.
        kind: what its texts are for compiled code, see `adapters.postgres.native`; empty if it does not read them.
    """

    schema: Any
    read: Callable[[str], Any]
    kind: str = "text"


def avro_name(column: str) -> str:
    """A column's name as an Avro name; characters that Avro does not take become `_x<hex>`."""
    name = "".join(c if c.isascii() and (c.isalnum() or c == "_") else f"_x{ord(c):x}" for c in column)
    return name if _NAME.fullmatch(name) else f"_{name}"


def column_type(kind: PgType, modifier: int, enum_name: str) -> ColumnType:
    """The Avro type of a column.

    Args:
        kind: its PostgreSQL type.
        modifier: `atttypmod`; precision and scale of a numeric.
        enum_name: Avro name for an enum type; unique in the record.
    """
    if kind.base is not None:
        return column_type(kind.base, kind.base_modifier if modifier == -1 else modifier, enum_name)
    if kind.element is not None:
        return _array(column_type(kind.element, modifier, enum_name))
    if kind.labels:
        return _enum(kind, enum_name)
    if kind.name == "numeric":
        return _numeric(modifier)
    return _SIMPLE.get(kind.name) or ColumnType({"type": "string", "pg": kind.name}, str)


def _numeric(modifier: int) -> ColumnType:
    """Decimal for numeric(p, s); an unconstrained one has no scale to declare, and keeps its text."""
    if modifier < 0:
        return ColumnType({"type": "string", "pg": "numeric"}, str)
    precision, scale = (modifier - 4) >> 16 & 0xFFFF, (modifier - 4) & 0x7FF
    if scale > precision:
        return ColumnType({"type": "string", "pg": "numeric"}, str)
    quantum = Decimal(1).scaleb(-scale)
    exact = Context(prec=precision)

    def read(text: str) -> Decimal:
        value = Decimal(text)
        if not value.is_finite():
            raise ValueError("not a finite number")
        return value.quantize(quantum, context=exact)

    kind = "decimal" if precision <= MOST_DIGITS else ""
    return ColumnType({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}, read, kind)


def _enum(kind: PgType, name: str) -> ColumnType:
    """An Avro enum if every label can be a symbol, else its text."""
    if not all(_NAME.fullmatch(label) for label in kind.labels):
        return ColumnType({"type": "string", "pg": kind.name}, str)
    labels = frozenset(kind.labels)

    def read(text: str) -> str:
        if text not in labels:
            raise UnknownLabelError
        return text

    return ColumnType({"type": "enum", "name": name, "symbols": list(kind.labels)}, read)


def _array(element: ColumnType) -> ColumnType:
    read_element = element.read

    def read(text: str) -> list[Any]:
        items = array_items(text)
        return [_nested(item, read_element) for item in items]

    schema = {"type": "array", "items": ["null", element.schema]}
    return ColumnType(schema, read, "")


def _nested(item: Any, read: Callable[[str], Any]) -> Any:
    if isinstance(item, list):
        raise ValueError("an array of more than one dimension")  # noqa: TRY004  it is the value that does not fit
    return None if item is None else read(item)


def array_items(text: str) -> list[Any]:
    """The items of an array's text form: strings, None, or lists of them.

    Raises:
        ValueError: not an array's text.
    """
    if text.startswith("["):  # explicit bounds: [0:2]={1,2,3}
        text = text[text.index("=") + 1 :]
    try:
        items, at = _array_level(text, 0)
    except IndexError:
        raise ValueError("the array does not end") from None
    if at != len(text):
        raise ValueError("text behind the array")
    return items


def _array_level(text: str, at: int) -> tuple[list[Any], int]:
    if text[at : at + 1] != "{":
        raise ValueError("no array")
    items: list[Any] = []
    at += 1
    while text[at] != "}":
        if text[at] == "{":
            nested, at = _array_level(text, at)
            items.append(nested)
        else:
            item, at = _array_item(text, at)
            items.append(item)
        if text[at] == ",":
            at += 1
    return items, at + 1


_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_PLAIN: Final = re.compile(r"[^,{}\"]+")


def _array_item(text: str, at: int) -> tuple[str | None, int]:
    if found := _QUOTED.match(text, at):
        return re.sub(r"\\(.)", r"\1", found[1], flags=re.DOTALL), found.end()
    plain = _PLAIN.match(text, at)
    if plain is None:
        raise ValueError("no array item")
    return None if plain[0] == "NULL" else plain[0], plain.end()


def _bool(text: str) -> bool:
    return text == "t"


def _bytea(text: str) -> bytes:
    if not text.startswith("\\x"):
        raise ValueError("bytea_output must be hex")
    return bytes.fromhex(text[2:])


_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _timestamptz(text: str) -> dt.datetime:
    """`2026-11-22 08:09:10.123+00` (the session's zone is UTC); a year of more or fewer than four digits raises."""
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC)


def _timestamp(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def _logical(avro: str, logical: str) -> dict[str, str]:
    return {"type": avro, "logicalType": logical}


_SIMPLE: Final = {
    "bool": ColumnType("boolean", _bool, "boolean"),
    "int2": ColumnType("int", int, "number"),
    "int4": ColumnType("int", int, "number"),
    "int8": ColumnType("long", int, "number"),
    "oid": ColumnType("long", int, "number"),
    "float4": ColumnType("float", float, "real"),
    "float8": ColumnType("double", float, "real"),
    "text": ColumnType("string", str),
    "varchar": ColumnType("string", str),
    "bpchar": ColumnType("string", str),
    "name": ColumnType("string", str),
    "uuid": ColumnType(_logical("string", "uuid"), uuid.UUID, "uuid"),
    "date": ColumnType(_logical("int", "date"), dt.date.fromisoformat, "date"),
    "time": ColumnType(_logical("long", "time-micros"), dt.time.fromisoformat, "time"),
    "timestamp": ColumnType(_logical("long", "local-timestamp-micros"), _timestamp, "local moment"),
    "timestamptz": ColumnType(_logical("long", "timestamp-micros"), _timestamptz, "moment"),
    "json": ColumnType({"type": "string", "pg": "json"}, str),
    "jsonb": ColumnType({"type": "string", "pg": "jsonb"}, str),
    "bytea": ColumnType("bytes", _bytea, "bytes"),
}
