"""Every common column type of PostgreSQL goes into Avro and comes out as what it was."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from bus.pipeline.codec import decoder, encoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import Bus, Source

ENUM = "create type mood as enum ('calm', 'busy'); create type 情绪 as enum ('平静', '忙');"
DOMAIN = "create domain amount as numeric(12, 2) check (value >= 0);"

COLUMNS: list[tuple[str, str, Any]] = [
    ("bool", "true", True),
    ("smallint", "-32768", -32768),
    ("integer", "2147483647", 2**31 - 1),
    ("bigint", "-9223372036854775808", -(2**63)),
    ("real", "0.5", 0.5),
    ("double precision", "0.1", 0.1),
    ("double precision", "'Infinity'", math.inf),
    ("numeric(10, 2)", "12345678.90", Decimal("12345678.90")),
    ("numeric(38, 10)", "1234567890123456789012345678.0123456789", Decimal("1234567890123456789012345678.0123456789")),
    ("numeric(5, 0)", "-99999", Decimal(-99999)),
    ("numeric", "0.000000000000000000000000000000001", "0.000000000000000000000000000000001"),
    ("numeric(3, -2)", "12345", "12300"),
    ("amount", "1.5", Decimal("1.50")),
    ("text", "'枢纽 \"quoted\" \\ back, \n line'", '枢纽 "quoted" \\ back, \n line'),
    ("varchar(10)", "'甲'", "甲"),
    ("char(4)", "'ab'", "ab  "),
    ("uuid", "'0f8fad5b-d9cb-469f-a165-70867728950e'", uuid.UUID("0f8fad5b-d9cb-469f-a165-70867728950e")),
    ("date", "'1949-10-01'", dt.date(1949, 10, 1)),
    ("time", "'23:59:59.999999'", dt.time(23, 59, 59, 999999)),
    ("timestamp", "'2026-11-22 08:09:10.123456'", dt.datetime.fromisoformat("2026-11-22T08:09:10.123456")),
    ("timestamptz", "'2026-11-22 08:09:10.1+08'", dt.datetime(2026, 11, 22, 0, 9, 10, 100000, dt.UTC)),
    ("timestamptz", "'0001-01-01 00:00:00+00'", dt.datetime(1, 1, 1, tzinfo=dt.UTC)),
    ("interval", "'1 year 2 days 03:04:05.6'", "P1Y2DT3H4M5.6S"),
    ("json", """'{"b": 1,  "a": [null, "甲"]}'""", '{"b": 1,  "a": [null, "甲"]}'),
    ("jsonb", """'{"b": 1, "a": "甲"}'""", '{"a": "甲", "b": 1}'),
    ("bytea", "'\\x00ff10'", b"\x00\xff\x10"),
    ("mood", "'busy'", "busy"),
    ("情绪", "'忙'", "忙"),
    ("integer[]", "'{1,NULL,-3}'", [1, None, -3]),
    ("text[]", """'{"a,b","x\\"y",NULL,"NULL",""}'""", ["a,b", 'x"y', None, "NULL", ""]),
    ("numeric(6, 2)[]", "'{1.5,2}'", [Decimal("1.50"), Decimal("2.00")]),
    ("mood[]", "'{calm,busy}'", ["calm", "busy"]),
    ("date[]", "'{}'", []),
    ("inet", "'10.1.2.3/8'", "10.1.2.3/8"),
    ("int4range", "'[1,5)'", "[1,5)"),
]


async def table(source: Source) -> str:
    columns = ", ".join(f"c{number} {kind}" for number, (kind, _, _) in enumerate(COLUMNS))
    values = ", ".join(text for _, text, _ in COLUMNS)
    await source.sql(ENUM, DOMAIN, f"create table t (id int primary key, {columns})")
    return f"insert into t values (%s, {values})"


async def test_every_type_round_trips_in_the_snapshot_and_in_the_stream_alike(source: Source) -> None:
    insert = await table(source)
    await source.sql(insert % 1)
    adapter = source.adapter()
    (dataset,) = await adapter.discover()
    encode, decode = encoder(7, dataset.schema), decoder(dataset.schema)

    async with source.read("public.t") as reading:
        await reading.snapshot()
        await source.sql(insert % 2, "update t set id = 3 where id = 2")
        await reading.changes(2)
        rows = [change.after for change in reading.all]

    assert len(rows) == 3
    for row in rows:
        told = decode(encode(row))
        assert {kind: told[f"c{n}"] for n, (kind, _, _) in enumerate(COLUMNS)} == {k: v for k, _, v in COLUMNS}
        assert [told[f"c{n}"] for n in range(len(COLUMNS))] == [value for _, _, value in COLUMNS]


async def test_a_row_of_nulls_is_a_row(source: Source) -> None:
    await table(source)
    await source.sql("insert into t (id) values (1)")
    (dataset,) = await source.adapter().discover()

    async with source.read("public.t") as reading:
        (change,) = await reading.snapshot()

    told = decoder(dataset.schema)(encoder(7, dataset.schema)(change.after))
    assert told.pop("id") == 1
    assert set(told.values()) == {None}


async def test_chinese_columns_have_an_avro_name_and_keep_their_own_in_the_doc(source: Source) -> None:
    await source.sql(
        'create table "人口" ("身份证号" text primary key, "姓名" text)',
        """comment on column "人口"."姓名" is '户口簿上的姓名'""",
        """insert into "人口" values ('1', '王伟')""",
    )
    (dataset,) = await source.adapter().discover()

    async with source.read("public.人口") as reading:
        (change,) = await reading.snapshot()

    number, name = dataset.schema["fields"]
    assert dataset.primary_key == (number["name"],)
    assert (number["doc"], name["doc"]) == ("身份证号", "姓名: 户口簿上的姓名")
    assert change.after == {number["name"]: "1", name["name"]: "王伟"}
    assert decoder(dataset.schema)(encoder(7, dataset.schema)(change.after)) == change.after


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("date", "infinity"),
        ("timestamptz", "-infinity"),
        ("timestamp", "0044-03-15 00:00:00 BC"),
        ("date", "20000-01-01"),
        ("numeric(6,2)", "NaN"),
        ("integer[]", "{{1},{2}}"),
    ],
)
async def test_a_value_that_avro_has_no_word_for_goes_to_the_dead_letters_whole(
    source: Source, make_bus: Callable[..., Any], kind: str, value: str
) -> None:
    await source.sql(f"create table t (id int primary key, v {kind})", "insert into t values (1, null)")
    bus: Bus = await make_bus("public.t", "id")

    async with bus.run():
        await bus.until_raw(1)
        await source.sql(f"insert into t values (2, '{value}')", "insert into t values (3, null)")
        records = await bus.until_raw(2)

    assert [record.key for record in sorted(records, key=lambda r: r.key)] == [b"1", b"3"]
    (letter,) = await bus.dlq()
    assert letter.key == b"2"
    assert (letter.headers["bus_reject_stage"], letter.headers["bus_reject_rule"]) == ("ingest", "encode")
    assert value in (letter.raw or b"").decode()
    assert value not in str(letter.headers)
