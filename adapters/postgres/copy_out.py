"""Rows out of COPY: taken from libpq as they arrive, then read all at once.

psycopg's own copy takes a row at a time through the event loop, which costs more than all that follows.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, Final

import nanoarrow
from psycopg import errors, pq

from adapters.postgres import native
from adapters.postgres.pgoutput import decoded
from adapters.postgres.rows import values_reader
from bus.spi import ColumnChanges, Op, RowChanges

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from nanoarrow.c_array import CArray
    from psycopg import AsyncConnection

    from adapters.postgres.tables import Table
    from adapters.postgres.types import ColumnType
    from bus.spi import Change

MOST_BYTES: Final = 4 << 20
"""Of the rows of a batch, give or take one; of the stream's too."""

_ARROW: Final[dict[str, Any]] = {
    "text": nanoarrow.string(),
    "uuid": nanoarrow.string(),
    "bytes": nanoarrow.binary(),
    "boolean": nanoarrow.bool_(),
    "number": nanoarrow.int64(),
    "real": nanoarrow.float64(),
    "date": nanoarrow.date32(),
    "time": nanoarrow.time64("us"),
    "moment": nanoarrow.timestamp("us", timezone="UTC"),
    "local moment": nanoarrow.timestamp("us"),
}


async def let_bytes_be(connection: AsyncConnection[Any]) -> None:
    """From now on the server converts no texts of a database that does not know their encoding (SQL_ASCII).

    Else it ends the copy at the first one that is no UTF-8. psycopg reads no texts from this connection then.
    """
    if connection.pgconn.parameter_status(b"server_encoding") == b"SQL_ASCII":
        await connection.execute("set client_encoding to 'SQL_ASCII'")


async def messages(connection: AsyncConnection[Any], statement: bytes, most: int) -> AsyncGenerator[list[memoryview]]:
    """What a COPY sends, so many messages (rows, in text form) at once at most.

    Args:
        connection: of nobody else; it is closed if not all is read.
        statement: `copy … to stdout`.
        most: messages.

    Raises:
        psycopg.Error: the server ended it.
    """
    pgconn = connection.pgconn
    pgconn.send_query(statement)
    is_done = False
    try:
        await _sent(pgconn)
        await _begun(pgconn)
        async for some in _arriving(pgconn, most):
            yield some
        is_done = True
    finally:
        if not is_done:
            await connection.close()


async def _sent(pgconn: pq.abc.PGconn) -> None:
    """Let all of a statement go out: the connection does not wait, and what the socket does not take stays behind."""
    while pgconn.flush():
        await readable(pgconn, or_writable=True)  # the server may first want to be rid of something


async def _begun(pgconn: pq.abc.PGconn) -> None:
    while pgconn.is_busy():
        await readable(pgconn)
    result = pgconn.get_result()
    if result is None or result.status != pq.ExecStatus.COPY_OUT:
        raise errors.error_from_result(result) if result else errors.OperationalError("the server ended the copy")


async def _arriving(pgconn: pq.abc.PGconn, most: int) -> AsyncGenerator[list[memoryview]]:
    some: list[memoryview] = []
    size = 0
    while True:
        length, data = pgconn.get_copy_data(1)
        if length > 0:
            some.append(data)
            size += length
            if len(some) == most or size >= MOST_BYTES:
                yield some
                some, size = [], 0
                await asyncio.sleep(0)  # the event loop has its turn
        elif length == 0:
            await readable(pgconn)
        else:
            break
    while (result := pgconn.get_result()) is not None:
        if result.status != pq.ExecStatus.COMMAND_OK:
            raise errors.error_from_result(result)
    if some:
        yield some


async def readable(pgconn: pq.abc.PGconn, *, or_writable: bool = False) -> None:
    """Wait for bytes from the server, or until it takes some, and take them in."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(pgconn.socket, ready.set)
    if or_writable:
        loop.add_writer(pgconn.socket, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(pgconn.socket)
        if or_writable:
            loop.remove_writer(pgconn.socket)
    pgconn.consume_input()


class CopiedRows:
    """Makes changes of a table's rows, as COPY sends them."""

    def __init__(self, table: Table) -> None:
        types = [column.type for column in table.columns]
        self._dataset = table.full_name
        self._fields = tuple(column.avro for column in table.columns)
        self._values = values_reader(table)
        self._kinds = [(each.kind, _scale(each)) for each in types]
        self._arrow = [_arrow(each) for each in types if each.kind]
        self._struct = nanoarrow.struct({str(place): kind for place, kind in enumerate(self._arrow)})
        self._by_columns = native.buffers is not None and all(each.kind for each in types) and bool(types)

    def changes(self, rows: list[memoryview], first: int) -> Sequence[Change]:
        """The rows of a snapshot as changes, numbered from `first` on."""

        def values() -> list[tuple[Any, ...]]:
            return [self._values(texts_of(row)) for row in rows] if self._fields else [()] * len(rows)

        if not self._by_columns:
            return RowChanges(self._dataset, self._fields, values(), first, Op.READ)
        columns = self._columns(rows)
        return ColumnChanges(self._dataset, self._fields, columns, len(rows), values, first, Op.READ)

    def _columns(self, rows: list[memoryview]) -> CArray:
        assert native.buffers is not None
        count = len(rows)
        valid, columns = native.buffers(self._kinds, rows)
        made = [
            nanoarrow.c_array_from_buffers(kind, count, each) for kind, each in zip(self._arrow, columns, strict=True)
        ]
        return nanoarrow.c_array_from_buffers(self._struct, count, [valid], children=made)


def _scale(column: ColumnType) -> int:
    return int(column.schema["scale"]) if column.kind == "decimal" else 0


def _arrow(column: ColumnType) -> Any:
    if column.kind == "decimal":
        return nanoarrow.decimal128(column.schema["precision"], column.schema["scale"])
    return _ARROW[column.kind]


_ESCAPED: Final = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v", b"\\": b"\\"}
_BACKSLASH: Final = re.compile(rb"\\([bfnrtv\\])")


def texts_of(row: memoryview) -> tuple[Any, ...]:
    """The texts of a row in COPY's text form, the line's end behind them; None for null, bytes where they are no UTF-8.

    These fit no type: the row goes to the dead letters.
    """
    return tuple(_text(part) for part in bytes(row[:-1]).split(b"\t"))


def _text(part: bytes) -> str | bytes | None:
    if b"\\" not in part:
        return decoded(part)
    return None if part == b"\\N" else decoded(_BACKSLASH.sub(lambda found: _ESCAPED[found[1]], part))
