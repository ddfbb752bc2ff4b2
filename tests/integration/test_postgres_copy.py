"""A snapshot's rows by columns: the records that their readers in Python make, and an end that is told."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from adapters.postgres.copy_out import messages
from bus.spi import ColumnChanges, SourceRefusedError
from bus.testing.conformance import records_of
from tests.integration.test_postgres_types import COLUMNS, DOMAIN, ENUM

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.integration.conftest import Source

BY_COLUMNS = [(kind, text) for kind, text, _ in COLUMNS if not kind.endswith("[]")]
"""Types that compiled code reads, or takes as texts."""

ODD = {
    "date": "infinity",
    "timestamptz": "-infinity",
    "timestamp": "0044-03-15 00:00:00 BC",
    "time": "24:00:00",
    "numeric(10, 2)": "NaN",
    "bigint": "9223372036854775807",
    "real": "NaN",
    "double precision": "-Infinity",
    "text": "",
}


async def test_columns_and_rows_become_the_same_records(source: Source) -> None:
    columns = ", ".join(f"c{number} {kind}" for number, (kind, _) in enumerate(BY_COLUMNS))
    values = ", ".join(text for _, text in BY_COLUMNS)
    await source.sql(ENUM, DOMAIN, f"create table t (id int primary key, {columns})")
    odd = [f"insert into t (id, c{number}) values ({number + 10}, '{ODD[kind]}')"
           for number, (kind, _) in enumerate(BY_COLUMNS) if kind in ODD]  # fmt: skip
    await source.sql("insert into t (id) values (1)", f"insert into t select g, {values} from generate_series(2, 9) g")
    await source.sql(*odd)
    (dataset,) = await source.adapter().discover()

    async with source.read("public.t") as reading:
        await reading.snapshot()

    told = [batch for batch in reading.batches if batch.changes]
    assert all(isinstance(batch.changes, ColumnChanges) for batch in told)
    records = records_of(dataset, dataset.primary_key, told)
    assert len(records) == 9 + len(odd)
    by_rows = [replace(batch, changes=list(batch.changes)) for batch in told]
    assert records == records_of(dataset, dataset.primary_key, by_rows)
    letters = [record for record in records if record.topic.startswith("dlq.")]
    assert len(letters) == 6  # no date, moment, decimal or half of a double says these


async def test_a_database_in_another_encoding_tells_the_same_texts(source: Source) -> None:
    name = f"{source.parameters['dbname']}_gb"
    await source.sql(f"create database {name} encoding 'EUC_CN' locale 'C' template template0")
    parameters = source.parameters
    source.parameters = parameters | {"dbname": name}
    await source.sql(
        "create table t (id int primary key, name text)", "set client_encoding to 'UTF8'",
        "insert into t values (1, U&'\\738B\\4F1F')",
    )  # fmt: skip
    async with source.read("public.t") as reading:
        await reading.snapshot()
        await source.sql("insert into t select 2, name from t")
        await reading.changes(1)
    source.parameters = parameters
    assert [change.after for change in reading.all] == [{"id": 1, "name": "王伟"}, {"id": 2, "name": "王伟"}]


async def test_bytes_that_are_no_text_cost_their_row_and_nothing_else(
    source: Source, make_bus: Callable[..., Any]
) -> None:
    name = f"{source.parameters['dbname']}_ascii"
    await source.sql(f"create database {name} encoding 'SQL_ASCII' locale 'C' template template0")
    source.parameters |= {"dbname": name}
    await source.sql(
        "create table t (id int primary key, name text)",
        r"insert into t values (1, '王伟'), (2, E'\xff\xfe'), (3, 'Ann')",
    )
    bus = await make_bus("public.t", "id")
    async with bus.run():
        await bus.until_raw(2)
        await source.sql(r"insert into t values (4, E'\xfe'), (5, '李静')")
        records = await bus.until_raw(3)
    assert {record.key: record.value["after"]["name"] for record in records} == {
        b"1": "王伟",
        b"3": "Ann",
        b"5": "李静",
    }
    letters = await bus.dlq()
    assert sorted(letter.key for letter in letters) == [b"2", b"4"]
    assert {letter.headers["bus_reject_rule"] for letter in letters} == {"encode"}


async def test_a_text_without_a_form_in_utf_8_is_refused_without_its_bytes(source: Source) -> None:
    name = f"{source.parameters['dbname']}_cn"
    await source.sql(f"create database {name} encoding 'EUC_CN' locale 'C' template template0")
    source.parameters |= {"dbname": name}
    await source.sql("create table t (id int primary key, name text)", r"insert into t values (1, E'\xfe\xfe')")
    with pytest.raises(SourceRefusedError, match="no form in UTF-8") as refused:
        async with source.read("public.t") as reading:
            await reading.snapshot()
    assert "0xfe" not in str(refused.value)


@pytest.mark.parametrize("size", [100, 100_000, 20_000_000])
async def test_a_long_statement_goes_out_whole(source: Source, size: int) -> None:
    """A socket takes less at once; neither side may wait for the other then."""
    statement = f"copy (select '{'x' * size}'::text) to stdout".encode()
    assert await asyncio.wait_for(_copied(source, statement), 30) == [b"x" * size + b"\n"]


async def _copied(source: Source, statement: bytes, most: int = 1000) -> list[bytes]:
    async with await psycopg.AsyncConnection.connect(**source.parameters, autocommit=True) as connection:
        async with aclosing(messages(connection, statement, most)) as arriving:
            found = [bytes(row) async for rows in arriving for row in rows]
        await connection.execute("select 1")  # it is free for the next command
    return found


async def test_a_copy_comes_whole_and_leaves_the_connection_free(source: Source) -> None:
    statement = b"copy (select g, repeat('x', 100) from generate_series(1, 50000) g) to stdout"
    rows = await _copied(source, statement)
    assert rows == [f"{number}\t{'x' * 100}\n".encode() for number in range(1, 50001)]
    assert await _copied(source, b"copy (select 1 where false) to stdout") == []


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        (b"copy missing to stdout", psycopg.errors.UndefinedTable),
        (b"copy (select 1 / (3000 - g) from generate_series(1, 5000) g) to stdout", psycopg.errors.DivisionByZero),
        (b"select 1", psycopg.Error),
    ],
)
async def test_a_copy_that_fails_says_why(source: Source, statement: bytes, error: type[BaseException]) -> None:
    with pytest.raises(error):
        await _copied(source, statement)


async def test_a_reader_that_leaves_ends_the_copy(source: Source) -> None:
    endless = b"copy (select generate_series(1, 1000000000)) to stdout"
    running = "select count(*) from pg_stat_activity where query like 'copy (select gen%' and state = 'active'"
    async with await psycopg.AsyncConnection.connect(**source.parameters, autocommit=True) as connection:
        async with aclosing(messages(connection, endless, 10)) as arriving:
            assert len(await anext(arriving)) == 10
            assert await source.sql(running) == [(1,)]
        assert connection.closed
    assert await _until_none(source, running)


async def _until_none(source: Source, statement: str) -> Any:
    from bus.testing.waiting import until

    async def none() -> bool:
        return await source.sql(statement) == [(0,)]

    await until(none, within=20, what="the server's process to end")
    return True


async def test_a_connection_that_is_cut_is_told(source: Source) -> None:
    slow = b"copy (select generate_series(1, 100000), pg_sleep(0.01)) to stdout"
    cut = "select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(0.01)) to stdout'"
    async with (
        await psycopg.AsyncConnection.connect(**source.parameters, autocommit=True) as connection,
        aclosing(messages(connection, slow, 10)) as arriving,
    ):
        await anext(arriving)
        await source.sql(cut)
        with pytest.raises(psycopg.OperationalError):
            await _drained(arriving)


async def _drained(arriving: AsyncIterator[list[memoryview]]) -> None:
    async for _ in arriving:
        pass
