"""Messages of PostgreSQL's logical replication, protocol version 1, as pure functions from bytes to values.

Source: PostgreSQL documentation, "Logical Replication Message Formats" and "Streaming Replication Protocol". Version 1
suffices: large transactions are spilled to disk by the server until they commit, not buffered here, and aborted ones
never arrive.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

UNCHANGED: Final = object()
"""A TOASTed value that the update did not touch and the server did not send."""

POSTGRES_EPOCH_MICROS: Final = 946_684_800_000_000
"""Microseconds from 1970 to 2000, PostgreSQL's epoch."""

Tuple = list[object]
"""Column values as text (`str`), None for null, or UNCHANGED."""

_INT32: Final = struct.Struct(">i").unpack_from
_UINT32: Final = struct.Struct(">I").unpack_from
_INT16: Final = struct.Struct(">h").unpack_from
_BEGIN: Final = struct.Struct(">QqI").unpack_from
_COMMIT: Final = struct.Struct(">BQQq").unpack_from


@dataclass(frozen=True, slots=True)
class Begin:
    """A transaction begins; `lsn` is its commit record's, `time` microseconds since 1970 in UTC."""

    lsn: int
    time: int
    xid: int


@dataclass(frozen=True, slots=True)
class Commit:
    """A transaction ends; `end` is the LSN behind it."""

    lsn: int
    end: int


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a relation: name, type's oid, type modifier, and whether it is part of the replica identity."""

    name: str
    type_oid: int
    modifier: int
    key: bool


@dataclass(frozen=True, slots=True)
class Relation:
    """A table's shape as of the next row; `identity` is d(efault), n(othing), f(ull) or i(ndex)."""

    oid: int
    schema: str
    table: str
    identity: str
    columns: tuple[Column, ...]


@dataclass(slots=True)
class RowChange:
    """A row inserted (I), updated (U) or deleted (D).

    Attributes:
        relation: the table's oid.
        old: the old row, as far as the replica identity holds it; None if it was not sent.
        old_is_key: only the identity's columns of `old` are there, the others are null.
        new: the new row; None for a deletion.
    """

    kind: str
    relation: int
    old: Tuple | None
    old_is_key: bool
    new: Tuple | None


@dataclass(frozen=True, slots=True)
class Truncate:
    """Tables emptied by one statement."""

    relations: tuple[int, ...]


Message = Begin | Commit | Relation | RowChange | Truncate


def parse(data: bytes) -> Message | None:
    """The message, or None for one of no interest here (origin, type, logical message).

    Raises:
        ValueError: an unknown message: the server speaks another protocol.
    """
    kind = chr(data[0])
    if kind in "OYM":
        return None
    try:
        reader = _READERS[kind]
    except KeyError:
        raise ValueError(f"unknown replication message {kind!r}") from None
    return reader(data)


def _begin(data: bytes) -> Begin:
    lsn, time, xid = _BEGIN(data, 1)
    return Begin(lsn, time + POSTGRES_EPOCH_MICROS, xid)


def _commit(data: bytes) -> Commit:
    _flags, lsn, end, _time = _COMMIT(data, 1)
    return Commit(lsn, end)


def _relation(data: bytes) -> Relation:
    (oid,) = _UINT32(data, 1)
    schema, at = _text(data, 5)
    table, at = _text(data, at)
    identity = chr(data[at])
    (count,) = _INT16(data, at + 1)
    at += 3
    columns = []
    for _ in range(count):
        key = bool(data[at] & 1)
        name, at = _text(data, at + 1)
        (type_oid,) = _UINT32(data, at)
        (modifier,) = _INT32(data, at + 4)
        at += 8
        columns.append(Column(name, type_oid, modifier, key))
    return Relation(oid, schema or "pg_catalog", table, identity, tuple(columns))


def _insert(data: bytes) -> RowChange:
    new, _ = _tuple(data, 6)
    return RowChange("I", _UINT32(data, 1)[0], None, False, new)


def _update(data: bytes) -> RowChange:
    old: Tuple | None = None
    mark = data[5:6]
    at = 6
    if mark in (b"K", b"O"):
        old, at = _tuple(data, 6)
        at += 1
    new, _ = _tuple(data, at)
    return RowChange("U", _UINT32(data, 1)[0], old, mark == b"K", new)


def _delete(data: bytes) -> RowChange:
    old, _ = _tuple(data, 6)
    return RowChange("D", _UINT32(data, 1)[0], old, data[5:6] == b"K", None)


def _truncate(data: bytes) -> Truncate:
    (count,) = _INT32(data, 1)
    return Truncate(struct.unpack_from(f">{count}I", data, 6))


def _tuple(data: bytes, at: int) -> tuple[Tuple, int]:
    (count,) = _INT16(data, at)
    at += 2
    values: Tuple = []
    append = values.append
    for _ in range(count):
        kind = data[at]
        at += 1
        if kind == 0x74:  # t: text
            end = at + 4 + _INT32(data, at)[0]
            append(decoded(data[at + 4 : end]))
            at = end
        else:  # n: null, u: unchanged TOAST
            append(None if kind == 0x6E else UNCHANGED)
    return values, at


def decoded(text: bytes) -> str | bytes:
    """A text of the server's; the bytes as they are where they are no UTF-8: they fit no type."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text


def _text(data: bytes, at: int) -> tuple[str, int]:
    end = data.index(0, at)
    return data[at:end].decode(), end + 1


_READERS: Final[dict[str, Callable[[bytes], Message]]] = {
    "B": _begin,
    "C": _commit,
    "R": _relation,
    "I": _insert,
    "U": _update,
    "D": _delete,
    "T": _truncate,
}


def lsn_text(lsn: int) -> str:
    """An LSN as PostgreSQL writes it, `16/B374D848`."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def lsn_number(text: str) -> int:
    """An LSN from its text.

    Raises:
        ValueError: not an LSN.
    """
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) | int(low, 16)
