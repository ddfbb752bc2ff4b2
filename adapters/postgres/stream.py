"""The changes after the snapshot: transactions out of the replication stream, as batches."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from adapters.postgres.copy_out import MOST_BYTES
from adapters.postgres.pgoutput import Begin, Commit, Message, Relation, RowChange, Truncate, lsn_text, parse
from adapters.postgres.rows import StreamTable, text_row, unchanged_fields
from adapters.postgres.tables import make_column
from adapters.postgres.types import UnknownLabelError
from bus.spi import Batch, Change, Op, Snapshot

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from psycopg import AsyncConnection

    from adapters.postgres.replication import Replication
    from adapters.postgres.tables import Table, Types
    from bus.spi import Position, SourceDataset

CHANGES: Final = 1_000
"""Changes of a batch, of `MOST_BYTES` at most as its rows are; a larger transaction comes in several."""

LOOK_AGAIN_SECONDS: Final = (0.001, 0.25)
"""How long to wait until a transaction is looked for again: at first, and at most."""


def sees(snapshot: str, xid: int) -> bool:
    """Whether a query sees what a committed transaction did.

    Args:
        snapshot: the query's, as `pg_snapshot` is written: xmin:xmax:those in progress between them, in 64 bits.
        xid: the transaction's id as the stream gives it: its lower 32 bits.
    """
    _, xmax, in_progress = snapshot.split(":")
    begun = (xid - int(xmax)) % 2**32 >= 2**31
    return begun and xid not in {int(each) % 2**32 for each in in_progress.split(",") if each}


class Stream:
    """Turns one replication stream into batches, and acknowledgements into LSNs that the server may forget.

    Args:
        replication: the connection that streams.
        connection: one for queries beside it.
        types: the server's types.
        tables: those to read, by name.
        resume_from: where the runtime stands; its rows come again and are dropped there.
    """

    def __init__(
        self,
        replication: Replication,
        connection: AsyncConnection[Any],
        types: Types,
        tables: dict[str, Table],
        resume_from: Position | None,
    ) -> None:
        self._replication = replication
        self._connection = connection
        self._types = types
        self._tables = dict(tables)
        self._resume = resume_from
        self._relations: dict[int, StreamTable | None] = {}
        self._messages: dict[int, Relation] = {}
        self._under_way: deque[tuple[str, int]] = deque()
        self._begin: Begin | None = None
        self._visible: Begin | None = None
        self._changes: list[Change] = []
        self._schemas: dict[str, SourceDataset] = {}
        self._row = 0
        self._bytes = 0  # of the messages that the changes came in, and of what was looked up for them

    async def batches(self, publication: str, start: int) -> AsyncGenerator[Batch]:
        """Batches without end."""
        async with aclosing(self._replication.stream(publication, start)) as messages:
            async for data, keepalive in messages:
                if not data:
                    self._idle(keepalive)
                    continue
                for batch in await self._take(parse(data)):
                    yield batch
                if self._changes:
                    self._bytes += len(data)

    async def _take(self, message: Message | None) -> list[Batch]:
        """What a message completes."""
        match message:
            case RowChange():
                # Only when one more comes, so that the last batch of a transaction has its last change.
                full = [self._batch(last=False)] if self._is_full else []
                await self._row_change(message)
                return full
            case Begin():
                self._begin, self._row = message, 0
                return []
            case Commit():
                self._under_way.append((lsn_text(message.lsn), message.end))
                batch = self._batch(last=True)
                self._begin = None
                return [batch]
            case Relation():
                done = [self._batch(last=False)] if self._changes else []
                await self._relation(message)
                return done
            case Truncate():
                return self._truncate(message)
            case None:
                return []

    @property
    def _is_full(self) -> bool:
        return len(self._changes) >= CHANGES or self._bytes >= MOST_BYTES

    def _batch(self, *, last: bool) -> Batch:
        assert self._begin is not None
        begin = self._begin
        batch = Batch(
            unit=lsn_text(begin.lsn),
            changes=self._changes,
            last=last,
            time=begin.time,
            transaction=str(begin.xid),
            schemas=self._schemas,
            size=self._bytes,
        )
        self._changes, self._schemas, self._bytes = [], {}, 0
        return batch

    async def _row_change(self, message: RowChange) -> None:
        table = self._relations.get(message.relation)
        if table is None:
            return
        self._row += 1
        try:
            change = table.change(message, self._row)
        except UnknownLabelError:
            change = (await self._relearn(message.relation)).change(message, self._row, lenient=True)
        fields = unchanged_fields(change.after or {})
        if not fields or await self._look_up(table, change, fields):
            self._changes.append(change)
        elif change.before is not None and table.moves(change):
            self._changes.append(replace(change, op=Op.DELETE, after=None))

    async def _look_up(self, table: StreamTable, change: Change, fields: list[str]) -> bool:
        """Read values that the stream left out from the table itself; False if the row is gone.

        The value read may be newer than the change; then the change that made it so follows and brings it again. If the
        row is gone, its deletion (or its new key) follows, and leaves nothing of this change but the release of the key
        that the row had before it. For either to be so, the table must be read with the change in it.
        """
        await self._see_transaction()
        assert change.after is not None
        columns = {column.name: column for column in table.table.columns}
        identity = [columns[name] for name in table.table.identity_columns]
        query = sql.SQL("copy (select {} from {} where {}) to stdout").format(
            sql.SQL(", ").join(sql.Identifier(name) for name in columns),
            sql.Identifier(table.table.schema, table.table.name),
            sql.SQL(" and ").join(
                sql.SQL("{} = {}").format(sql.Identifier(c.name), sql.Literal(change.after[c.avro])) for c in identity
            ),
        )
        async with self._connection.cursor() as cursor, cursor.copy(query) as copy:
            rows = [text_row(table.table, values) async for values in copy.rows()]
        if not identity or not rows:
            return False
        for field in fields:
            change.after[field] = found = rows[0][field]
            self._bytes += len(found) if isinstance(found, str | bytes) else 0
        return True

    async def _see_transaction(self) -> None:
        """Wait until queries see the transaction under way.

        The server streams a commit as soon as it is in its log; other sessions see it a little later, and not before a
        synchronous standby has it where one is awaited.
        """
        assert self._begin is not None
        pause, longest = LOOK_AGAIN_SECONDS
        while self._visible is not self._begin:
            row = await (await self._connection.execute("select pg_current_snapshot()::text")).fetchone()
            assert row is not None
            if sees(row[0], self._begin.xid):
                self._visible = self._begin
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)

    async def _relearn(self, relation: int) -> StreamTable:
        """An enum has got a label, of which the stream does not tell: learn the types of the table again.

        The rows of the batch so far fit the new schema too.
        """
        message = self._messages[relation]
        self._types.forget()
        await self._relation(message)
        table = self._relations[relation]
        assert table is not None
        return table

    async def _relation(self, message: Relation) -> None:
        """Take in a table's shape as of the next row."""
        self._messages[message.oid] = message
        known = self._tables.get(f"{message.schema}.{message.table}")
        if known is None:
            self._relations[message.oid] = None
            return
        await self._types.load(self._connection, [column.type_oid for column in message.columns])
        docs = {column.name: column.doc for column in known.columns}
        not_null = {column.name for column in known.columns if column.not_null}
        columns = tuple(
            make_column(
                self._types.type(column.type_oid),
                column.name,
                column.modifier,
                not_null=column.name in not_null,
                doc=docs.get(column.name, ""),
            )
            for column in message.columns
        )
        there = {column.name for column in columns}
        indexes = tuple(index for index in known.indexes if there.issuperset(index.columns))
        table = replace(known, identity=message.identity, columns=columns, indexes=indexes)
        keys = frozenset(number for number, column in enumerate(message.columns) if column.key)
        self._relations[message.oid] = StreamTable(table, keys)
        if table.row_schema() != known.row_schema():
            self._schemas[known.full_name] = table.dataset()
        self._tables[known.full_name] = table

    def _truncate(self, message: Truncate) -> list[Batch]:
        """An emptied table is a full snapshot without rows; it counts as one row of its transaction."""
        found = [self._relations.get(oid) for oid in message.relations]
        names = tuple(each.table.full_name for each in found if each is not None)
        self._row += 1
        if not names or self._done(self._row):
            return []
        before, empty = self._batch(last=False), self._batch(last=False)
        brackets = [replace(empty, snapshot=mark, datasets=names) for mark in (Snapshot.BEGIN, Snapshot.END)]
        return [before, *brackets] if before.changes else brackets

    def _done(self, row: int) -> bool:
        """Whether rows behind this one are durable already, and so this one is."""
        if self._resume is None or self._begin is None or self._resume.unit != lsn_text(self._begin.lsn):
            return False
        return self._resume.complete or self._resume.row > row

    def acknowledge(self, position: Position) -> None:
        """The runtime has everything up to here: the server may forget the transactions that end there."""
        if all(unit != position.unit for unit, _ in self._under_way):
            return
        while self._under_way:
            unit, end = self._under_way[0]
            if unit == position.unit and not position.complete:
                return
            self._under_way.popleft()
            self._replication.flushed = max(self._replication.flushed, end)
            if unit == position.unit:
                return

    def _idle(self, lsn: int) -> None:
        """With nothing under way, what the server has written so far holds nothing of ours: it may forget it."""
        if not self._under_way and self._begin is None:
            self._replication.flushed = max(self._replication.flushed, lsn)
