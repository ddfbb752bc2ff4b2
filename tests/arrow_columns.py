"""Values in Python as Arrow columns, for tests: what a producer of columns would have made of them."""

from __future__ import annotations

import datetime as dt
import struct
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import nanoarrow as na

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nanoarrow.c_array import CArray

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICRO = dt.timedelta(microseconds=1)


def moment_micros(value: dt.datetime) -> int:
    """Microseconds since 1970, of a moment with a zone, or of a local one."""
    return (value.replace(tzinfo=value.tzinfo or dt.UTC) - EPOCH) // MICRO


def _day(value: dt.date) -> int:
    return value.toordinal() - EPOCH.toordinal()


def _time_micros(value: dt.time) -> int:
    return (dt.datetime.combine(EPOCH, value) - EPOCH.replace(tzinfo=None)) // MICRO


def _hundredths(value: Decimal) -> bytes:
    return int(value.scaleb(2)).to_bytes(16, "little", signed=True)


FIXED: dict[str, tuple[Any, Callable[[Any], bytes]]] = {
    "int8": (na.int8(), struct.Struct("b").pack),
    "int16": (na.int16(), struct.Struct("h").pack),
    "int32": (na.int32(), struct.Struct("i").pack),
    "int64": (na.int64(), struct.Struct("q").pack),
    "uint32": (na.uint32(), struct.Struct("I").pack),
    "float": (na.float32(), struct.Struct("f").pack),
    "double": (na.float64(), struct.Struct("d").pack),
    "date": (na.date32(), lambda value: struct.pack("i", _day(value))),
    "time": (na.time64("us"), lambda value: struct.pack("q", _time_micros(value))),
    "moment": (na.timestamp("us", timezone="UTC"), lambda value: struct.pack("q", moment_micros(value))),
    "local moment": (na.timestamp("us"), lambda value: struct.pack("q", moment_micros(value))),
    "millis": (na.timestamp("ms", timezone="UTC"), lambda value: struct.pack("q", moment_micros(value) // 1000)),
    "decimal": (na.decimal128(12, 2), _hundredths),
}
"""Kinds of columns whose values have one size: their type, and how a value is packed."""


def bits(values: Sequence[bool]) -> bytes:
    """A bit each, the first one lowest."""
    packed = bytearray((len(values) + 7) // 8)
    for place, value in enumerate(values):
        packed[place >> 3] |= value << (place & 7)
    return bytes(packed)


def column(kind: str, values: Sequence[Any]) -> CArray:
    """A column; None is null."""
    valid = bits([value is not None for value in values]) if None in values else None
    if kind == "null":
        return na.c_array_from_buffers(na.null(), len(values), [])
    if kind == "boolean":
        return na.c_array_from_buffers(na.bool_(), len(values), [valid, bits([bool(value) for value in values])])
    if kind in {"text", "large text", "bytes", "large bytes"}:
        made = [value.encode() if isinstance(value, str) else value or b"" for value in values]
        form = "q" if kind.startswith("large") else "i"
        ends = [sum(map(len, made[:place])) for place in range(len(made) + 1)]
        types = {"text": na.string, "large text": na.large_string, "bytes": na.binary, "large bytes": na.large_binary}
        offsets = struct.pack(f"{len(ends)}{form}", *ends)
        return na.c_array_from_buffers(types[kind](), len(values), [valid, offsets, b"".join(made)])
    schema, pack = FIXED[kind]
    nothing = bytes(len(pack(_ANY.get(kind, 0))))
    packed = b"".join(nothing if value is None else pack(value) for value in values)
    return na.c_array_from_buffers(schema, len(values), [valid, packed])


_ANY: dict[str, Any] = {
    "date": dt.date(1970, 1, 1), "time": dt.time(), "moment": EPOCH, "millis": EPOCH,
    "local moment": EPOCH.replace(tzinfo=None), "decimal": Decimal(0),
}  # fmt: skip


def columns(kinds: Sequence[str], rows: Sequence[Sequence[Any]], *, told: Sequence[bool] | None = None) -> CArray:
    """A struct array of these rows; where `told` is false, a row is null in it."""
    made = [column(kind, [row[place] for row in rows]) for place, kind in enumerate(kinds)]
    schema = na.struct({str(place): each.schema for place, each in enumerate(made)})
    valid = None if told is None else bits(told)
    return na.c_array_from_buffers(schema, len(rows), [valid], children=made)
