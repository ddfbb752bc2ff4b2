"""Public Security's population register in a real PostgreSQL, and the application that keeps changing it.

A trigger keeps the register's own journal of committed row changes: the proof is computed from that, not from what the
bus saw.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

import psycopg

from bus.demo.people import DIVISIONS, FIELDS, People, Person

if TYPE_CHECKING:
    from random import Random

JOURNAL: Final = """
create table journal (
    n bigint generated always as identity primary key, tx xid8 not null default pg_current_xact_id(),
    op "char" not null, row_id bigint not null, data jsonb
);
create function write_journal() returns trigger language plpgsql as $$
begin
    insert into journal (op, row_id, data)
    values (left(lower(tg_op), 1)::"char", coalesce(new.id, old.id),
            case when tg_op = 'DELETE' then null else to_jsonb(new) - 'zp' end);
    return null;
end $$;
create trigger journal after insert or update or delete on population for each row execute function write_journal();
"""

INSERT: Final = (
    f"insert into population ({', '.join(FIELDS)}) values ({', '.join(f'%({name})s' for name in FIELDS)}) returning id"  # noqa: S608  names of ours
)
UPDATE: Final = (
    f"update population set {', '.join(f'{name} = %({name})s' for name in FIELDS)}, gxsj = now() where id = %(id)s"  # noqa: S608  names of ours
)


class Register:
    """The register and its application.

    Args:
        parameters: libpq's, of the database.
        random: seeded.
    """

    def __init__(self, parameters: dict[str, Any], random: Random) -> None:
        self.changes = 0
        self._parameters = parameters
        self._random = random
        self._people = People(random)
        self._rows: dict[int, Person] = {}

    async def create(self, table: str, rows: int) -> None:
        """Make the table from its DDL, with so many people in it; a few percent are dirty."""
        async with await psycopg.AsyncConnection.connect(**self._parameters, autocommit=True) as connection:
            await connection.execute(table.encode())
            await connection.execute(JOURNAL)
            async with connection.transaction(), connection.cursor() as cursor:
                for _ in range(rows):
                    person = self._new()
                    await cursor.execute(INSERT, person)
                    await self._remember(cursor, person)

    async def _remember(self, cursor: psycopg.AsyncCursor[Any], person: Person) -> None:
        row = await cursor.fetchone()
        assert row is not None
        self._rows[row[0]] = person

    def _new(self) -> Person:
        person = self._people.person()
        dice = self._random.random()
        if dice < 0.02:
            return self._people.misnumber(person)
        if dice < 0.05:
            return self._people.spoil(person)
        return self._people.soil(person) if dice < 0.20 else person

    async def recall(self) -> None:
        """Read the rows anew: after its server went away, the application cannot know what was committed."""
        async with await psycopg.AsyncConnection.connect(**self._parameters) as connection:
            cursor = await connection.execute(f"select id, {', '.join(FIELDS)} from population order by id")  # noqa: S608
            self._rows = {row[0]: dict(zip(FIELDS, row[1:], strict=True)) async for row in cursor}

    async def work(self, rate: float, stop: asyncio.Event) -> None:
        """Change the register at so many transactions a second until told to stop; each is committed on its own."""
        async with await psycopg.AsyncConnection.connect(**self._parameters, autocommit=True) as connection:
            begun, done = time.monotonic(), 0
            while not stop.is_set():
                await self._change(connection)
                done += 1
                self.changes += 1
                await asyncio.sleep(max(0.0, begun + done / rate - time.monotonic()))

    async def _change(self, connection: psycopg.AsyncConnection[Any]) -> None:
        dice = self._random.random()
        async with connection.transaction(), connection.cursor() as cursor:
            if dice < 0.15 or len(self._rows) < 10:
                await self._insert(cursor)
            elif dice < 0.85:
                await self._update(cursor)
            elif dice < 0.90:
                await self._delete(cursor)
            elif dice < 0.94:
                await self._correct_number(cursor)
            elif dice < 0.97:
                await self._register_anew(cursor)
            else:
                await self._swap(cursor)

    def _any(self) -> int:
        """Some row; ids are dense enough for a few tries, and a copy of all of them would cost more."""
        last = next(reversed(self._rows))
        while (row := self._random.randrange(1, last + 1)) not in self._rows:
            pass
        return row

    async def _insert(self, cursor: psycopg.AsyncCursor[Any]) -> None:
        person = self._new()
        await cursor.execute(INSERT, person)
        await self._remember(cursor, person)

    async def _update(self, cursor: psycopg.AsyncCursor[Any]) -> None:
        row = self._any()
        person = dict(self._rows[row])
        division = self._random.choice(list(DIVISIONS))
        moved = {"xzqhdm": division} if self._random.random() < 0.5 else {}
        changed = person | {"jzdz": self._people.address(division), "lxdh": self._people.phone()} | moved
        dice = self._random.random()
        if dice < 0.03:
            changed = self._people.spoil(changed)
        elif dice < 0.20:
            changed = self._people.soil(changed)
        await self._write(cursor, row, changed)

    async def _write(self, cursor: psycopg.AsyncCursor[Any], row: int, person: Person) -> None:
        await cursor.execute(UPDATE, person | {"id": row})
        self._rows[row] = person

    async def _delete(self, cursor: psycopg.AsyncCursor[Any]) -> None:
        row = self._any()
        await cursor.execute("delete from population where id = %s", (row,))
        del self._rows[row]

    async def _correct_number(self, cursor: psycopg.AsyncCursor[Any]) -> None:
        """The number was wrong all along: the row gets another one, with what follows from it."""
        row = self._any()
        await self._write(cursor, row, self._rows[row] | _identity(self._people.person()))

    async def _register_anew(self, cursor: psycopg.AsyncCursor[Any]) -> None:
        """The person's row is deleted and made again, under a new surrogate key."""
        row = self._any()
        person = self._rows.pop(row)
        await cursor.execute("delete from population where id = %s", (row,))
        await cursor.execute(INSERT, person)
        await self._remember(cursor, person)

    async def _swap(self, cursor: psycopg.AsyncCursor[Any]) -> None:
        """Two people's numbers had been mixed up: both change in one transaction."""
        first, second = self._any(), self._any()
        if first == second:
            return
        one, two = self._rows[first], self._rows[second]
        await cursor.execute("set constraints all deferred")
        await self._write(cursor, first, one | _identity(two))
        await self._write(cursor, second, two | _identity(one))

    async def journal(self) -> list[tuple[int, str, int, Person | None]]:
        """All committed row changes in order: transaction, op (i, u, d), row id, the row after it."""
        async with await psycopg.AsyncConnection.connect(**self._parameters) as connection:
            cursor = await connection.execute("select tx::text::bigint, op::text, row_id, data from journal order by n")
            return await cursor.fetchall()

    async def count(self) -> int:
        """Rows in the register."""
        async with await psycopg.AsyncConnection.connect(**self._parameters) as connection:
            row = await (await connection.execute("select count(*) from population")).fetchone()
            assert row is not None
            return int(row[0])


def _identity(person: Person) -> Person:
    """The fields that belong to the number."""
    return {name: person[name] for name in ("sfzh", "xb", "csrq")}
