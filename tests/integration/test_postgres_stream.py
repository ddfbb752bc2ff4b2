"""Changes out of a real PostgreSQL, in the order of their commits, each once, whole, whatever happens to the table."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from bus.errors import SourceRefusedError
from bus.spi import Op, Snapshot
from bus.testing.postgres import PostgresServer
from bus.testing.reading import position_after
from bus.testing.waiting import until
from tests.integration.conftest import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bus.spi import Batch, Change

LONG_TEXT = "create or replace function long_text(seed int) returns text language sql as $$ select string_agg(md5((g * seed)::text), '') from generate_series(1, 400) g $$"  # noqa: E501  one statement


def row_of(change: Change) -> dict[str, Any]:
    """The row that a change leaves."""
    assert change.after is not None
    return change.after


@pytest.fixture
def slow_commits(unique: Callable[[str], str]) -> Iterator[Source]:
    """A server where a commit that asks for it (`synchronous_commit`) waits for a standby that never comes."""
    with PostgresServer({"synchronous_standby_names": "away", "synchronous_commit": "local"}) as server:
        yield Source(server.parameters(), unique("slow"))


async def test_the_snapshot_joins_the_stream_without_gap_or_overlap_while_others_write(source: Source) -> None:
    await source.sql("create table t (id int primary key, n int not null)")
    stop = asyncio.Event()
    done = 0

    async def write(first: int) -> None:
        nonlocal done
        chance = random.Random(first)
        async with await psycopg.AsyncConnection.connect(**source.parameters) as connection:
            number = first
            while not stop.is_set():
                await connection.execute("insert into t values (%s, 1)", (number,))
                old = chance.randrange(first, number + 1)
                await connection.execute("update t set n = n + 1 where id = %s", (old,))
                if chance.random() < 0.2:
                    await connection.execute("delete from t where id = %s", (old,))
                await connection.commit()
                number += 1
                done += 1

    writers = [asyncio.create_task(write(first)) for first in (0, 1_000_000, 2_000_000)]
    await until(lambda: done > 300, within=20)
    async with source.read("public.t") as reading:
        await reading.snapshot()
        behind = done
        await until(lambda: done > behind + 300, within=20)
        stop.set()
        await asyncio.gather(*writers)
        await source.sql("insert into t values (-1, 0)")
        await reading.until(lambda: reading.streamed and reading.streamed[-1].after == {"id": -1, "n": 0})

    state: dict[int, int] = {}
    for change in reading.all:  # an update that is lost or doubled breaks the chain of before and after
        row = change.after or change.before
        assert row is not None
        assert (row["id"] in state) == (change.op in {Op.UPDATE, Op.DELETE}), "lost or doubled"
        if change.op is Op.UPDATE:
            assert row["n"] == state[row["id"]] + 1, "an update was lost or doubled"
        if change.op is Op.DELETE:
            del state[row["id"]]
        else:
            state[row["id"]] = row["n"]
    assert len(await reading.snapshot()) > 200  # of at least 300 inserted, some deleted since
    assert state == dict(await source.sql("select id, n from t"))

    began, *times = (batch.time for batch in reading.batches if batch.snapshot is not Snapshot.END)
    assert min(times) == began, "a change that the snapshot lacks is dated before it"


async def test_large_rows_come_in_batches_of_a_few_megabytes(source: Source) -> None:
    await source.sql("create table t (id int primary key, long text)", "alter table t replica identity full")
    await source.sql("insert into t select g, repeat('x', 100000) from generate_series(1, 100) g")
    async with source.read("public.t") as reading:
        await reading.snapshot()
        await source.sql("update t set id = -id")
        await reading.changes(100)
        await reading.until(lambda: reading.batches[-1].last)

    rows = [batch for batch in reading.batches if batch.changes]
    assert sum(batch.size for batch in rows) > 3 * 100 * 100_000, "its own, and before and after"
    assert max(batch.size for batch in rows) < 5 * 2**20
    assert [change.row for change in reading.streamed] == list(range(1, 101))


@pytest.mark.parametrize("identity", ["default", "full"])
async def test_a_toasted_value_that_an_update_left_alone_comes_whole(source: Source, identity: str) -> None:
    await source.sql(
        LONG_TEXT,
        "create table t (id int primary key, long text, n int)",
        "alter table t alter long set storage external",
        f"alter table t replica identity {identity}",
    )
    async with source.read("public.t") as reading:
        await reading.snapshot()
        statements = ("insert into t values (1, long_text(7), 0)", "update t set n = 1", "update t set id = 2")
        for number, statement in enumerate(statements):
            await source.sql(statement)
            await reading.changes(number + 1)
        inserted, updated, moved = reading.streamed
        ((expected,),) = await source.sql("select long from t")

    assert len(expected) == 12_800
    assert inserted.after == {"id": 1, "long": expected, "n": 0}
    assert updated.after == {"id": 1, "long": expected, "n": 1}
    assert moved.after == {"id": 2, "long": expected, "n": 1}


async def test_a_toasted_value_is_read_only_when_queries_see_its_transaction(slow_commits: Source) -> None:
    source = slow_commits
    await source.sql(
        LONG_TEXT,
        "create table t (id int primary key, long text, n int)",
        "alter table t alter long set storage external",
        "insert into t values (1, long_text(7), 0), (2, long_text(7), 0)",
    )
    async with source.read("public.t") as reading:
        await reading.snapshot()
        writing = asyncio.create_task(
            source.transaction(
                "set local synchronous_commit = on",
                "update t set long = long_text(8)",
                "update t set n = 1 where id = 1",
                "update t set id = 3 where id = 2",
            )
        )
        waiting = "from pg_stat_activity where wait_event = 'SyncRep'"
        await until(lambda: source.sql(f"select pid {waiting}"), within=15)
        await asyncio.sleep(0.5)  # nothing is waited for: that nothing comes meanwhile is what is tried
        assert reading.streamed == []  # the stream has had them, and no query sees them yet
        await source.sql(f"select pg_cancel_backend(pid) {waiting}")
        await writing
        changes = await reading.changes(4)
        ((expected,),) = await source.sql("select distinct long from t")

    assert [row_of(change) for change in changes[2:]] == [
        {"id": 1, "long": expected, "n": 1},
        {"id": 3, "long": expected, "n": 0},
    ]


async def test_a_toasted_value_of_a_row_that_has_gone_since_leaves_only_the_release_of_its_key(source: Source) -> None:
    await source.sql(
        LONG_TEXT,
        "create table t (id int primary key, long text, n int)",
        "alter table t alter long set storage external",
        "insert into t values (1, long_text(7), 0)",
    )
    async with source.read("public.t") as reading:
        await reading.snapshot()
        position = position_after(reading.batches[-1])
    await source.sql("update t set n = 1", "update t set id = 2", "update t set id = 3")

    async with source.read("public.t", resume_from=position) as reading:
        changes = await reading.changes(2)

    assert [(c.op, c.before and c.before["id"], c.after and c.after["id"]) for c in changes] == [
        (Op.DELETE, 1, None),
        (Op.UPDATE, 2, 3),
    ]
    assert len(row_of(changes[1])["long"]) == 12_800


async def test_a_new_column_comes_with_its_own_schema_from_the_next_row_on(source: Source) -> None:
    await source.sql("create table t (id int primary key)")
    async with source.read("public.t") as reading:
        await reading.snapshot()
        await source.sql(
            "insert into t values (1)", "alter table t add column note text default '新'", "insert into t values (2)"
        )
        first, second = await reading.changes(2)

    assert (first.after, second.after) == ({"id": 1}, {"id": 2, "note": "新"})
    (with_schema,) = [batch for batch in reading.batches if batch.schemas]
    assert [row_of(change)["id"] for change in with_schema.changes] == [2]
    assert [field["name"] for field in with_schema.schemas["public.t"].schema["fields"]] == ["id", "note"]


async def test_old_and_new_schema_are_told_right_when_both_lie_in_the_past(source: Source) -> None:
    await source.sql("create table t (id int primary key, old text)")
    async with source.read("public.t") as reading:
        await reading.snapshot()
        position = position_after(reading.batches[-1])
    await source.sql(
        "insert into t values (1, 'a')",
        "alter table t drop column old, add column code int not null default 5",
        "alter table t drop constraint t_pkey, add primary key (id, code)",
        "insert into t values (2, 6)",
    )

    async with source.read("public.t", resume_from=position) as reading:
        first, second = await reading.changes(2)

    assert (first.after, second.after) == ({"id": 1, "old": "a"}, {"id": 2, "code": 6})


async def test_a_new_label_of_an_enum_is_part_of_the_next_schema(source: Source) -> None:
    await source.sql("create type mood as enum ('calm')", "create table t (id int primary key, m mood)")
    async with source.read("public.t") as reading:
        await reading.snapshot()
        await source.sql(
            "insert into t values (1, 'calm')", "alter type mood add value 'busy'", "insert into t values (2, 'busy')"
        )
        _, second = await reading.changes(2)

    assert second.after == {"id": 2, "m": "busy"}
    (with_schema,) = [batch for batch in reading.batches if batch.schemas]
    symbols = with_schema.schemas["public.t"].schema["fields"][1]["type"][1]["symbols"]
    assert symbols == ["calm", "busy"]


async def test_what_was_rolled_back_never_comes(source: Source) -> None:
    await source.sql("create table t (id int primary key)")
    async with source.read("public.t") as reading:
        await reading.snapshot()
        await source.transaction("insert into t values (1)", "rollback")
        await source.transaction(
            "insert into t values (2)",
            "savepoint s",
            "insert into t values (3)",
            "rollback to s",
            "insert into t values (4)",
        )
        changes = await reading.changes(2)

    assert [row_of(change)["id"] for change in changes] == [2, 4]
    assert [change.row for change in changes] == [1, 2]
    assert len({batch.unit for batch in reading.batches if batch.changes}) == 1


async def test_a_large_transaction_comes_in_batches_and_comes_again_the_same(source: Source) -> None:
    await source.sql("create table t (id int primary key, pad text)")
    async with source.read("public.t") as reading:
        await reading.snapshot()
        position = position_after(reading.batches[-1])
    await source.sql("insert into t select g, repeat('x', 100) from generate_series(1, 25500) g")

    read: list[list[Batch]] = []
    for resume in (position, None):
        start = resume or position_after(read[0][3])  # the second time from the middle
        async with source.read("public.t", resume_from=start, acknowledge=False) as reading:
            await reading.changes(25_500)
            read.append(list(reading.batches))

    first, again = ([batch for batch in batches if batch.changes] for batches in read)
    assert [row_of(change)["id"] for batch in first for change in batch.changes] == list(range(1, 25_501))
    assert [(b.unit, b.last, b.changes[0].row) for b in first] == [(b.unit, b.last, b.changes[0].row) for b in again]
    assert [batch.last for batch in first].index(True) == len(first) - 1
    assert max(len(batch.changes) for batch in first) <= 1_000


async def test_after_a_kill_no_unit_before_the_stored_position_comes_again(source: Source) -> None:
    await source.sql("create table t (id int primary key)")
    async with source.read("public.t", acknowledge=False) as reading:
        await reading.snapshot()
        await source.sql("insert into t values (1)", "insert into t values (2)", "insert into t values (3)")
        await reading.changes(3)
        second = next(batch for batch in reading.batches if batch.changes and batch.changes[0].after == {"id": 2})

    async with source.read("public.t", resume_from=position_after(second)) as reading:
        await reading.until(lambda: reading.streamed and reading.streamed[-1].after == {"id": 3})

    assert [change.after for change in reading.streamed] == [{"id": 2}, {"id": 3}]


async def test_a_quiet_table_does_not_hold_the_servers_log(source: Source) -> None:
    await source.sql("create table t (id int primary key)", "create table busy (id int, pad text)")
    async with source.read("public.t") as reading:
        await reading.snapshot()
        await source.sql("insert into busy select g, repeat('x', 500) from generate_series(1, 10000) g")

        async def forgotten() -> bool:
            slot = await source.slot()
            return slot is not None and slot[2] < 100_000

        await until(forgotten, within=15, what="the slot moves on")
    assert reading.streamed == []


async def test_what_is_not_acknowledged_is_kept(source: Source) -> None:
    await source.sql("create table t (id int primary key)")
    async with source.read("public.t", acknowledge=False) as reading:
        await reading.snapshot()
        before = await source.slot()
        await source.sql("insert into t values (1)", "insert into t values (2)")
        await reading.changes(2)
    after = await source.slot()
    assert before is not None
    assert after is not None
    assert after[1] <= before[1] or (await source.sql(f"select '{after[1]}'::pg_lsn < pg_current_wal_lsn()"))[0][0]

    async with source.read("public.t", resume_from=position_after(reading.batches[0])) as again:
        await again.snapshot()


async def test_a_dropped_slot_is_told_with_the_way_out(source: Source) -> None:
    await source.sql("create table t (id int primary key)")
    async with source.read("public.t") as reading:
        await reading.snapshot()
        position = position_after(reading.batches[-1])

    async def free() -> bool:
        slot = await source.slot()
        return slot is not None and not slot[0]

    await until(free, within=10, what="the slot is let go of")
    await source.sql(f"select pg_drop_replication_slot('{source.adapter()._slot}')")

    with pytest.raises(SourceRefusedError) as refused:
        async with source.read("public.t", resume_from=position) as reading:
            await reading.changes(1)
    assert "is gone" in str(refused.value)
    assert f"bus adapter run {source.name} --snapshot" in str(refused.value)


async def test_partitions_come_under_the_name_of_their_table(source: Source) -> None:
    await source.sql(
        "create table t (id int primary key, n int) partition by range (id)",
        "create table t_low partition of t for values from (0) to (100)",
        "create table t_high partition of t for values from (100) to (200)",
        "insert into t values (1, 0)",
    )
    async with source.read("public.t") as reading:
        rows = await reading.snapshot()
        await source.sql("insert into t values (150, 1)", "update t set n = 2 where id = 1")
        changes = await reading.changes(2)

    assert [(c.dataset, c.after) for c in [*rows, *changes]] == [
        ("public.t", {"id": 1, "n": 0}),
        ("public.t", {"id": 150, "n": 1}),
        ("public.t", {"id": 1, "n": 2}),
    ]


async def test_other_tables_are_silent(source: Source) -> None:
    await source.sql("create table t (id int primary key)", "create table other (id int primary key)")
    async with source.read("public.t") as reading:
        await reading.snapshot()
        await source.sql("insert into other values (1)", "insert into t values (1)")
        (change,) = await reading.changes(1)

    assert change.dataset == "public.t"
