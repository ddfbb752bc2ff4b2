"""Avro field types as mappings, filters and masks look at them."""

from __future__ import annotations

import datetime as dt
import decimal
import math
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_SURE_DIGITS: Final = 15
_FORMS: Final = {
    "timestamp": "ISO 8601 with its offset, as 2026-01-31T08:00:00+08:00",
    "uuid": "32 hexadecimal digits",
}
_LOGICAL: Final = {
    "date": "date",
    "time-millis": "time",
    "time-micros": "time",
    "timestamp-millis": "timestamp",
    "timestamp-micros": "timestamp",
    "local-timestamp-millis": "local-timestamp",
    "local-timestamp-micros": "local-timestamp",
    "uuid": "uuid",
    "decimal": "decimal",
}


@dataclass(frozen=True, slots=True)
class AvroType:
    """The type of a field.

    Attributes:
        name: string, int, long, float, double, boolean, bytes, fixed, enum, array, map, record, union, date, time,
            timestamp, local-timestamp, uuid, decimal.
        nullable: a union with null.
        has_default: the schema gives one.
        symbols: of an enum.
        precision: of a decimal, digits.
        scale: of a decimal, digits after the point.
    """

    name: str
    nullable: bool = False
    has_default: bool = False
    symbols: tuple[str, ...] = ()
    precision: int = 0
    scale: int = 0


def field_types(schema: dict[str, Any]) -> dict[str, AvroType]:
    """Field name → type of a record schema that is valid Avro."""
    named = dict(_named(schema, schema.get("namespace", "")))
    return {field["name"]: _type(field["type"], "default" in field, named) for field in schema["fields"]}


def _type(declared: Any, has_default: bool, named: dict[str, Any]) -> AvroType:
    nullable = False
    if isinstance(declared, list):
        others = [branch for branch in declared if branch != "null"]
        nullable = len(others) < len(declared)
        declared = others[0] if len(others) == 1 else {"type": "union"}
    if isinstance(declared, str):
        declared = named.get(declared, {"type": declared})
    name = _LOGICAL.get(declared.get("logicalType", ""), declared["type"])
    return AvroType(
        name if isinstance(name, str) else _type(name, False, named).name,
        nullable,
        has_default,
        tuple(declared.get("symbols", ())),
        declared.get("precision", 0),
        declared.get("scale", 0),
    )


def _named(schema: Any, namespace: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every named type inside a schema, under its short and its full name."""
    if isinstance(schema, list):
        for branch in schema:
            yield from _named(branch, namespace)
    elif isinstance(schema, dict):
        namespace = schema.get("namespace", namespace)
        if "name" in schema and schema.get("type") in {"record", "enum", "fixed"}:
            yield schema["name"], schema
            yield f"{namespace}.{schema['name']}", schema
        for part in ("type", "items", "values"):
            yield from _named(schema.get(part), namespace)
        for field in schema.get("fields", ()):
            yield from _named(field["type"], namespace)


def literal(value: Any, declared: AvroType) -> Any:
    """A value written in YAML as fastavro decodes that type; dates and times are ISO texts.

    Raises:
        ValueError: the type has no such value; says what was expected.
    """
    python = _PYTHON.get(declared.name)
    if python is None:
        raise ValueError(f"a field of type {declared.name} cannot be compared with a value")
    if declared.name in {"int", "long", "float", "double", "boolean", "string", "enum"}:
        if not isinstance(value, python) or (isinstance(value, bool) != (python is bool)):
            raise ValueError(f"expected {declared.name}, found {type(value).__name__}" + _quotes(declared.name, value))
        if declared.name == "enum" and value not in declared.symbols:
            raise ValueError(f"not one of the enum's symbols {', '.join(declared.symbols)}")
        return _real(value) if python == (int, float) else value
    if declared.name == "decimal":
        return _decimal(value)
    try:
        return _parse(str(value), declared.name)
    except (ValueError, OverflowError):  # the years are 1 to 9999, in UTC too
        raise ValueError(f"expected {declared.name} ({_FORMS.get(declared.name, 'ISO 8601')})") from None


def _real(value: float) -> float:
    try:
        made = float(value)
    except OverflowError:
        raise ValueError("too large a number") from None
    if math.isnan(made):
        raise ValueError("not a number")
    return made


def _decimal(value: Any) -> decimal.Decimal:
    """Of an unquoted number YAML makes a binary one, which has fifteen digits for sure."""
    try:
        made = decimal.Decimal(str(value))
    except decimal.InvalidOperation:
        raise ValueError("expected decimal") from None
    if not made.is_finite():
        raise ValueError("not a number")
    if isinstance(value, float) and len(made.as_tuple().digits) > _SURE_DIGITS:
        raise ValueError("a number of more than fifteen digits: put it in quotes")
    return made


def _quotes(name: str, value: Any) -> str:
    return "; put it in quotes" if name in {"string", "enum"} and isinstance(value, int | float) else ""


def _parse(text: str, name: str) -> Any:
    if name == "timestamp":
        moment = dt.datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError("no offset")
        return moment.astimezone(dt.UTC)
    return {
        "date": dt.date.fromisoformat,
        "time": dt.time.fromisoformat,
        "local-timestamp": dt.datetime.fromisoformat,
        "uuid": uuid.UUID,
    }[name](text)


_PYTHON: Final[dict[str, Any]] = {
    "string": str,
    "enum": str,
    "boolean": bool,
    "int": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
    "date": dt.date,
    "time": dt.time,
    "timestamp": dt.datetime,
    "local-timestamp": dt.datetime,
    "uuid": uuid.UUID,
    "decimal": decimal.Decimal,
}
