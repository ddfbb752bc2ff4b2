"""The adapter: its life as the SPI tells it."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import psycopg

from adapters.postgres import checks
from adapters.postgres.config import PostgresConfig
from adapters.postgres.login import connection_error, first_line, place
from adapters.postgres.pgoutput import lsn_number
from adapters.postgres.replication import Replication
from adapters.postgres.snapshot import snapshot
from adapters.postgres.stream import Stream
from adapters.postgres.tables import Types, load_tables
from bus.spi import (
    Adapter,
    Batch,
    Capabilities,
    Finding,
    Position,
    SourceDataset,
    SourceRefusedError,
    SourceUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence

    from adapters.postgres.tables import Table

SNAPSHOT_UNIT = "snapshot"


class PostgresAdapter(Adapter[PostgresConfig]):
    """Reads tables of one PostgreSQL database, from version 12 on."""

    kind: ClassVar[str] = "postgres"
    config_model = PostgresConfig
    capabilities = Capabilities(
        deletes=True, before_images=True, snapshot=True, resumable=True, ordered=True, latency_seconds=0.1
    )

    def __init__(self, name: str, config: PostgresConfig) -> None:
        super().__init__(name, config)
        self._slot = config.slot_name(name)
        self._publication = config.publication_name(name)
        self._types = Types()
        self._stream: Stream | None = None

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        try:
            arguments = self.config.connect_arguments()
            connection = await psycopg.AsyncConnection.connect(**arguments, autocommit=True)
        except psycopg.OperationalError as error:
            raise connection_error(error, self.name, self.config) from None
        with self._told():
            async with connection:
                yield connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        """The server's errors as ours: what it refuses needs the operator, anything else may pass."""
        try:
            yield
        except psycopg.ProgrammingError as error:
            finding = Finding(first_line(error), where=place(self.config), fix=f"see bus adapter check {self.name}")
            raise SourceRefusedError([finding], f"adapter {self.name}") from None
        except (
            psycopg.errors.UntranslatableCharacter,
            psycopg.errors.CharacterNotInRepertoire,
        ):  # it quotes their bytes
            finding = Finding(
                "a text has a character that has no form in UTF-8, so no row behind it can be read",
                where=place(self.config),
                fix="find it in the tables that are read (select … where convert_to(column, 'UTF8') fails) and mend it",
            )
            raise SourceRefusedError([finding], f"adapter {self.name}") from None
        except psycopg.Error as error:
            raise self._unavailable(error) from None

    def _unavailable(self, error: BaseException) -> SourceUnavailableError:
        return SourceUnavailableError(first_line(error), where=place(self.config))

    async def check(self, datasets: Sequence[str], keys: Mapping[str, tuple[str, ...]]) -> list[Finding]:
        """See `Adapter.check`."""
        async with self._connection() as connection:
            tables = await load_tables(connection, self._types)
            server = await checks.server(connection, self._slot)
            found = list(checks.server_findings(server))
            found += checks.findings(tables, {name: keys[name] for name in datasets}, server.user)
            chosen = [tables[name] for name in datasets if name in tables]
            return found + await checks.publication_findings(connection, self._publication, chosen)

    async def discover(self) -> list[SourceDataset]:
        """See `Adapter.discover`."""
        return [table.dataset() for table in (await self._tables()).values()]

    async def _tables(self) -> dict[str, Table]:
        self._types.forget()
        async with self._connection() as connection:
            return await load_tables(connection, self._types)

    async def read(self, datasets: Sequence[str], resume_from: Position | None) -> AsyncIterator[Batch]:
        """See `Adapter.read`. An unfinished snapshot starts over: the server forgets it with its connection."""
        tables = await self._tables()
        await self._publish([tables[name] for name in datasets])
        fresh = resume_from is None or (resume_from.unit.startswith(SNAPSHOT_UNIT) and not resume_from.complete)
        with self._told():
            async with Replication(self.config, self._slot, self.name) as replication:
                if fresh:
                    await self._forget_slot(replication)
                    exported = await replication.create_slot()
                    start = exported.start
                    async with self._connection() as connection:
                        unit = f"{SNAPSHOT_UNIT}/{start}"
                        async with aclosing(snapshot(connection, exported, unit, tables, datasets)) as rows:
                            async for batch in rows:
                                yield batch
                    resume_from = None
                else:
                    start = await self._existing_slot()
                begin = max(lsn_number(start), _unit_lsn(resume_from))
                async with aclosing(self._changes(replication, datasets, tables, resume_from, begin)) as changes:
                    async for batch in changes:
                        yield batch

    async def _changes(
        self,
        replication: Replication,
        datasets: Sequence[str],
        tables: dict[str, Table],
        resume_from: Position | None,
        start: int,
    ) -> AsyncGenerator[Batch]:
        async with self._connection() as connection:
            chosen = {name: tables[name] for name in datasets}
            self._stream = Stream(replication, connection, self._types, chosen, resume_from)
            async with aclosing(self._stream.batches(self._publication, start)) as batches:
                async for batch in batches:
                    yield batch

    async def _publish(self, tables: Sequence[Table]) -> None:
        """Create the publication, or add tables to it, where our role may; `check` has told where it may not."""
        async with self._connection() as connection:
            there = await (
                await connection.execute("select 1 from pg_publication where pubname = %s", (self._publication,))
            ).fetchone()
            rows = await (
                await connection.execute(
                    "select schemaname, tablename from pg_publication_tables where pubname = %s", (self._publication,)
                )
            ).fetchall()
            missing = [table for table in tables if (table.schema, table.name) not in rows]
            if not missing:
                return
            names = psycopg.sql.SQL(", ").join(psycopg.sql.Identifier(t.schema, t.name) for t in missing)
            create = "create publication {} for table {} with (publish_via_partition_root = true)"
            verb = "alter publication {} add table {}" if there else create
            statement = psycopg.sql.SQL(verb).format(psycopg.sql.Identifier(self._publication), names)
            await connection.execute(statement)

    async def _forget_slot(self, replication: Replication) -> None:
        async with self._connection() as connection:
            slot = await self._slot_row(connection)
        if slot is not None:
            await replication.drop_slot()

    async def _existing_slot(self) -> str:
        """The LSN from which the slot still has changes.

        Raises:
            SourceRefusedError: the slot is gone, or the server has cut its log.
        """
        async with self._connection() as connection:
            slot = await self._slot_row(connection)
        if slot is None or slot[1] == "lost":
            state = "is gone" if slot is None else "was cut off: the server has removed the log that it needed"
            finding = Finding(
                f"replication slot {self._slot} {state}; changes since then are not to be had",
                where=place(self.config),
                fix=f"read a new snapshot: bus adapter run {self.name} --snapshot",
            )
            raise SourceRefusedError([finding], f"adapter {self.name}")
        return str(slot[0])

    async def _slot_row(self, connection: psycopg.AsyncConnection[Any]) -> tuple[Any, ...] | None:
        cursor = await connection.execute(
            "select confirmed_flush_lsn, wal_status from pg_replication_slots where slot_name = %s", (self._slot,)
        )
        return await cursor.fetchone()

    async def acknowledge(self, position: Position) -> None:
        """See `Adapter.acknowledge`: the server may forget its log up to here."""
        if self._stream is not None:
            self._stream.acknowledge(position)

    async def close(self) -> None:
        """See `Adapter.close`: connections end with `read`."""


def _unit_lsn(position: Position | None) -> int:
    """Where the unit of a position begins in the server's log; what was committed before it need not come again.

    The slot may stand further back: it moves with our reports, which a killed process no longer sends.
    """
    if position is None or position.unit.startswith(SNAPSHOT_UNIT):
        return 0
    return lsn_number(position.unit)
