"""What stands in the way of reading tables by logical decoding; every finding with the statement that mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bus.spi import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from psycopg import AsyncConnection

    from adapters.postgres.tables import Table


SERVER: Final = """
select current_setting('wal_level'), current_setting('max_replication_slots')::int,
       (select count(*) from pg_replication_slots where slot_name <> %s), current_user,
       (select rolreplication or rolsuper from pg_roles where rolname = current_user)
"""

PUBLISHED: Final = "select schemaname || '.' || tablename from pg_publication_tables where pubname = %s"


class Server(NamedTuple):
    """What the server says about itself and our role; `used` slots are those of others."""

    wal_level: str
    most_slots: int
    used_slots: int
    user: str
    may_replicate: bool


async def server_findings(connection: AsyncConnection[Any], slot: str) -> list[Finding]:
    """Findings about the server and our role."""
    row = await (await connection.execute(SERVER, (slot,))).fetchone()
    assert row is not None
    return list(_server_findings(Server(*row)))


def _server_findings(server: Server) -> Iterator[Finding]:
    if server.wal_level != "logical":
        yield Finding(
            f"the server's wal_level is {server.wal_level}, so it writes no logical changes",
            where="wal_level",
            fix="alter system set wal_level = 'logical'; then restart PostgreSQL",
        )
    if not server.may_replicate:
        yield Finding(
            f"role {server.user} may not replicate",
            where=f"role {server.user}",
            fix=f'alter role "{server.user}" with replication',
        )
    if server.used_slots >= server.most_slots:
        yield Finding(
            f"all {server.most_slots} replication slots are in use",
            where="max_replication_slots",
            fix="drop a slot that nobody needs, or alter system set max_replication_slots and restart PostgreSQL",
        )


async def publication_findings(connection: AsyncConnection[Any], name: str, tables: Sequence[Table]) -> list[Finding]:
    """Findings about the publication: it holds the tables, or our role can see to it."""
    published = await (await connection.execute(PUBLISHED, (name,))).fetchall()
    there = await (await connection.execute("select 1 from pg_publication where pubname = %s", (name,))).fetchone()
    rights = await (await connection.execute("select has_database_privilege(current_database(), 'create')")).fetchone()
    missing = [table for table in tables if (table.full_name,) not in published]
    if not missing or (all(table.owned for table in missing) and rights == (True,)):
        return []
    listed = ", ".join(table.full_name for table in missing)
    statement = (
        f"alter publication {name} add table {listed}" if there else f"create publication {name} for table {listed}"
    )
    return [Finding(f"publication {name} does not hold {listed}", where=name, fix=f"as the tables' owner: {statement}")]


def table_findings(name: str, table: Table | None, key: Sequence[str]) -> Iterator[Finding]:
    """Findings about one table and the key it is to be read by."""
    if table is None:
        yield Finding("there is no such table", where=name, fix="see `bus adapter discover` for those there are")
        return
    if not table.readable:
        yield Finding("our role may not read the table", where=name, fix=f"grant select on {name} to current role")
    columns = {column.avro for column in table.columns}
    missing = [field for field in key if field not in columns]
    if missing:
        yield Finding(f"the key names {', '.join(missing)}, which the table does not have", where=name)
        return
    yield from _identity_findings(name, table, key)
    yield from _unique_findings(name, table, key)


def _identity_findings(name: str, table: Table, key: Sequence[str]) -> Iterator[Finding]:
    held = set(table.avro_names(table.identity_columns))
    if held.issuperset(key):
        return
    lacking = ", ".join(field for field in key if field not in held)
    yield Finding(
        f"an updated or deleted row would come without {lacking} of the dataset's key: the replica identity lacks it",
        where=name,
        fix=f"alter table {name} replica identity full",
    )


def _unique_findings(name: str, table: Table, key: Sequence[str]) -> Iterator[Finding]:
    uniques = [index for index in table.indexes if set(table.avro_names(index.columns)) == set(key)]
    if not uniques:
        yield Finding(
            "nothing keeps the dataset's key unique in the table: rows that share a key will overwrite each other",
            where=name,
            fix="add a unique constraint on the key, or choose another key",
            severity=Severity.WARNING,
        )
    if all(not index.immediate for index in uniques) and (table.primary is None or table.primary in uniques):
        yield Finding(
            "the key can change hands inside a transaction and no other column tells the rows apart",
            where=name,
            fix="make the key's constraint not deferrable, or give the table a primary key of its own",
        )


def findings(tables: Mapping[str, Table], keys: Mapping[str, Sequence[str]]) -> list[Finding]:
    """Findings about the tables to be read."""
    return [finding for name, key in keys.items() for finding in table_findings(name, tables.get(name), key)]
