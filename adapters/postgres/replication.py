"""The replication connection: COPY_BOTH read through psycopg's libpq wrapper, without a thread.

Source: PostgreSQL documentation, "Streaming Replication Protocol".
"""

from __future__ import annotations

import asyncio
import struct
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import psycopg
from psycopg import pq

from adapters.postgres.copy_out import let_bytes_be, readable
from adapters.postgres.login import connection_error
from adapters.postgres.pgoutput import POSTGRES_EPOCH_MICROS, lsn_text

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from types import TracebackType
    from typing import LiteralString

    from adapters.postgres.config import PostgresConfig

STATUS_SECONDS: Final = 1.0
"""How often the server hears how far we are; its wal_sender_timeout is 60 s by default."""

TURN: Final = 500
"""Messages after which the event loop gets its turn."""

_XLOG: Final = struct.Struct(">QQq").unpack_from
_KEEPALIVE: Final = struct.Struct(">QqB").unpack_from
_STATUS: Final = struct.Struct(">cQQQqB").pack


class Exported(NamedTuple):
    """A snapshot that the server has exported.

    Attributes:
        name: for `set transaction snapshot`.
        start: LSN where the changes begin that it lacks.
        time: by the server's clock, in microseconds since 1970; none of those changes was committed before it.
    """

    name: str
    start: str
    time: int


class Replication:
    """One replication connection: makes a slot, or streams from it.

    Attributes:
        received: LSN up to which the server has sent.
        flushed: LSN up to which we told it, or will tell it, that it may forget.
    """

    def __init__(self, config: PostgresConfig, slot: str, adapter: str) -> None:
        self.received = 0
        self.flushed = 0
        self._config = config
        self._slot = slot
        self._adapter = adapter
        self._connection: psycopg.AsyncConnection[Any] | None = None

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            SourceUnavailableError: the server does not answer.
            SourceRefusedError: it refuses the login.
        """
        arguments = self._config.connect_arguments()
        try:
            self._connection = await psycopg.AsyncConnection.connect(
                **arguments, replication="database", autocommit=True
            )
        except psycopg.OperationalError as error:
            raise connection_error(error, self._adapter, self._config) from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        if self._connection is not None:
            await self._connection.close()

    @property
    def _open(self) -> psycopg.AsyncConnection[Any]:
        assert self._connection is not None
        return self._connection

    async def create_slot(self) -> Exported:
        """Make the slot, with a snapshot just before its changes.

        The snapshot lives until the next command on this connection. Waits for open write transactions.
        """
        (now,) = await self._row("select (extract(epoch from clock_timestamp()) * 1000000)::bigint")
        _, start, name, *_ = await self._row(
            f"CREATE_REPLICATION_SLOT \"{self._slot}\" LOGICAL pgoutput (SNAPSHOT 'export')"
        )
        return Exported(name, start, now)

    async def _row(self, command: LiteralString) -> tuple[Any, ...]:
        row: tuple[Any, ...] | None = await (await self._open.execute(command)).fetchone()
        assert row is not None
        return row

    async def drop_slot(self) -> None:
        """Drop the slot, once a reader that is just going has gone."""
        await self._open.execute(f'DROP_REPLICATION_SLOT "{self._slot}" WAIT')

    async def stream(self, publication: str, start: int) -> AsyncGenerator[tuple[bytes, int]]:
        """The pgoutput messages from an LSN on: (message, 0), or (b"", LSN) for a keepalive.

        Raises:
            psycopg.Error: the server ended the stream.
        """
        await let_bytes_be(self._open)
        pgconn = self._open.pgconn
        pgconn.send_query(
            f'START_REPLICATION SLOT "{self._slot}" LOGICAL {lsn_text(start)}'
            f" (proto_version '1', publication_names '\"{publication}\"')".encode()
        )
        await self._copy_both(pgconn)
        pgconn.nonblocking = 1
        self.flushed = max(self.flushed, start)
        status = asyncio.create_task(self._report(pgconn), name="replication-status")
        try:
            async with aclosing(self._messages(pgconn)) as messages:
                async for message in messages:
                    yield message
        finally:
            status.cancel()
            await asyncio.wait([status])

    async def _copy_both(self, pgconn: pq.abc.PGconn) -> None:
        while pgconn.is_busy():
            await readable(pgconn)
        result = pgconn.get_result()
        if result is None or result.status != pq.ExecStatus.COPY_BOTH:
            raise psycopg.OperationalError((result.error_message if result else b"").decode("utf-8", "replace"))

    async def _messages(self, pgconn: pq.abc.PGconn) -> AsyncGenerator[tuple[bytes, int]]:
        turn = 0
        while True:
            size, data = pgconn.get_copy_data(1)
            if size > 0:
                if data[0] == 0x77:  # w: WAL data
                    self.received = max(self.received, _XLOG(data, 1)[1])
                    yield bytes(data[25:]), 0
                elif data[0] == 0x6B:  # k: keepalive
                    lsn, _, _ = _KEEPALIVE(data, 1)
                    self.received = max(self.received, lsn)
                    yield b"", lsn
                turn += 1
                if turn % TURN == 0:
                    await asyncio.sleep(0)
            elif size == 0:
                await readable(pgconn)
            else:
                result = pgconn.get_result()
                message = result.error_message.decode("utf-8", "replace") if result else "the stream ended"
                raise psycopg.OperationalError(message)

    async def _report(self, pgconn: pq.abc.PGconn) -> None:
        """Tell the server how far we are, whether or not anybody reads: a stalled reader is not a dead one."""
        while True:
            now = time.time_ns() // 1000 - POSTGRES_EPOCH_MICROS
            message = _STATUS(b"r", max(self.received, self.flushed), self.flushed, self.flushed, now, 0)
            if pgconn.put_copy_data(message) == 1:
                pgconn.flush()  # what does not go out now goes with the next one
            await asyncio.sleep(STATUS_SECONDS)
