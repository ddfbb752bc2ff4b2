"""A full copy of tables as of an exported snapshot, in brackets."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from adapters.postgres.copy_out import CopiedRows, let_bytes_be, messages
from bus.spi import Batch, Snapshot

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from psycopg import AsyncConnection

    from adapters.postgres.replication import Exported
    from adapters.postgres.tables import Table
    from bus.spi import Change

ROWS: Final = 1_000
"""Rows of a batch, at most."""


async def snapshot(
    connection: AsyncConnection[Any],
    exported: Exported,
    unit: str,
    tables: dict[str, Table],
    datasets: Sequence[str],
) -> AsyncGenerator[Batch]:
    """Batches of all rows of the tables, as of one moment: begin, rows, end.

    Args:
        connection: of its own, in autocommit.
        exported: what it is of.
        unit: the batches' unit.
        tables: all, by name.
        datasets: those to read.
    """
    names = tuple(datasets)
    yield Batch(unit, last=False, time=exported.time, snapshot=Snapshot.BEGIN, datasets=names)
    await let_bytes_be(connection)
    await connection.execute("begin isolation level repeatable read read only")
    await connection.execute(sql.SQL("set transaction snapshot {}").format(sql.Literal(exported.name)))
    number = 0
    for dataset in names:
        async with aclosing(_rows(connection, tables[dataset], number)) as rows:
            async for changes, size in rows:
                number += len(changes)
                yield Batch(unit, changes, last=False, time=exported.time, size=size)
    await connection.execute("commit")
    yield Batch(unit, last=True, time=exported.time, snapshot=Snapshot.END, datasets=names)


async def _rows(
    connection: AsyncConnection[Any], table: Table, number: int
) -> AsyncGenerator[tuple[Sequence[Change], int]]:
    """Changes, and how many bytes the server sent for them."""
    columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns)
    query = sql.SQL("copy (select {} from {}) to stdout").format(columns, sql.Identifier(table.schema, table.name))
    copied = CopiedRows(table)
    async with aclosing(messages(connection, query.as_bytes(connection), ROWS)) as arriving:
        async for rows in arriving:
            yield copied.changes(rows, number + 1), sum(map(len, rows))
            number += len(rows)
