"""What stands in the way of reading tables by logical decoding; every finding with the statement that mends it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from adapters.postgres.tables import quoted
from bus.spi import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from psycopg import AsyncConnection

    from adapters.postgres.tables import Table


SERVER: Final = """
select current_setting('wal_level'), current_setting('max_replication_slots')::int,
       (select count(*) from pg_replication_slots where slot_name <> %s), current_user,
       (select rolreplication or rolsuper from pg_roles where rolname = current_user),
       current_setting('synchronous_standby_names'), current_setting('application_name')
"""

PUBLICATION: Final = """
select pg_has_role(pubowner, 'usage'), pubviaroot, pubinsert and pubupdate and pubdelete and pubtruncate
from pg_publication where pubname = %s
"""

STANDBY: Final = re.compile(r'"([^"]+)"|([^\s,()"]+)')
"""A word of `synchronous_standby_names`: in quotes, or as it is."""

PUBLISHED: Final = "select schemaname || '.' || tablename from pg_publication_tables where pubname = %s"


class Server(NamedTuple):
    """What the server says about itself, our role and the name of our connections; `used` slots are those of others."""

    wal_level: str
    most_slots: int
    used_slots: int
    user: str
    may_replicate: bool
    standbys: str
    application: str


class PublicationState(NamedTuple):
    """A publication: whether it is ours to alter, tells of partitions as of their table, and leaves no change out."""

    owned: bool
    via_root: bool
    whole: bool


async def server(connection: AsyncConnection[Any], slot: str) -> Server:
    """The server and our role."""
    row = await (await connection.execute(SERVER, (slot,))).fetchone()
    assert row is not None
    return Server(*row)


def server_findings(server: Server) -> Iterator[Finding]:
    """Findings about the server and our role."""
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
            fix=f"alter role {quoted(server.user)} with replication",
        )
    if server.used_slots >= server.most_slots:
        yield Finding(
            f"all {server.most_slots} replication slots are in use",
            where="max_replication_slots",
            fix="drop a slot that nobody needs, or alter system set max_replication_slots and restart PostgreSQL",
        )
    names = {quoted_name or name for quoted_name, name in STANDBY.findall(server.standbys)}
    if not names.isdisjoint({"*", server.application}):
        yield Finding(
            f"the server's synchronous_standby_names is {server.standbys}, so its commits may wait for this adapter",
            where="synchronous_standby_names",
            fix="alter system set synchronous_standby_names to your standbys' names; then select pg_reload_conf()",
        )


async def publication_findings(connection: AsyncConnection[Any], name: str, tables: Sequence[Table]) -> list[Finding]:
    """Findings about the publication: it holds the tables whole, or our role can see to it."""
    published = await (await connection.execute(PUBLISHED, (name,))).fetchall()
    row = await (await connection.execute(PUBLICATION, (name,))).fetchone()
    rights = await (await connection.execute("select has_database_privilege(current_database(), 'create')")).fetchone()
    state = PublicationState(*row) if row else None
    missing = [table for table in tables if (table.full_name,) not in published]
    allowed = state.owned if state else rights == (True,)
    found = list(_state_findings(name, state, tables)) if state else []
    if missing and not (allowed and all(table.owned for table in missing)):
        found.append(_missing(name, missing, there=state is not None))
    return found


def _missing(name: str, missing: Sequence[Table], *, there: bool) -> Finding:
    listed = ", ".join(table.sql_name for table in missing)
    statement = (
        f"alter publication {quoted(name)} add table {listed}"
        if there
        else f"create publication {quoted(name)} for table {listed} with (publish_via_partition_root = true)"
    )
    names = ", ".join(table.full_name for table in missing)
    return Finding(f"publication {name} does not hold {names}", where=name, fix=f"as the tables' owner: {statement}")


def _state_findings(name: str, state: PublicationState, tables: Sequence[Table]) -> Iterator[Finding]:
    if not state.whole:
        yield Finding(
            f"publication {name} leaves changes out",
            where=name,
            fix=f"alter publication {quoted(name)} set (publish = 'insert, update, delete, truncate')",
        )
    if not state.via_root and any(table.partitioned for table in tables):
        yield Finding(
            f"publication {name} tells of partitions under their own names, not under their table's",
            where=name,
            fix=f"alter publication {quoted(name)} set (publish_via_partition_root = true)",
        )


def table_findings(name: str, table: Table | None, key: Sequence[str], user: str) -> Iterator[Finding]:
    """Findings about one table and the key it is to be read by."""
    if table is None:
        yield Finding("there is no such table", where=name, fix="see `bus adapter discover` for those there are")
        return
    if not table.readable:
        schema, role = quoted(table.schema), quoted(user)
        yield Finding(
            f"role {user} may not read the table",
            where=name,
            fix=f"grant usage on schema {schema} to {role}; grant select on {table.sql_name} to {role}",
        )
    columns = {column.avro for column in table.columns}
    missing = [field for field in key if field not in columns]
    if missing:
        yield Finding(
            f"the key names {', '.join(missing)}, which the table does not have",
            where=name,
            fix=f"name columns of the table in the dataset's key: {', '.join(sorted(columns))}",
        )
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
        fix=f"alter table {table.sql_name} replica identity full",
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
    if any(index.immediate for index in uniques):
        return
    if table.primary is None or table.primary in uniques:
        yield Finding(
            "the key can change hands inside a transaction and no other column tells the rows apart",
            where=name,
            fix="make the key's constraint not deferrable, or give the table a primary key of its own",
        )
    elif not set(table.identity_columns).issuperset(table.primary.columns):
        yield Finding(
            "the key can change hands inside a transaction, and an old row comes without what tells the rows apart:"
            " the replica identity lacks the primary key",
            where=name,
            fix=f"alter table {table.sql_name} replica identity full",
        )


def findings(tables: Mapping[str, Table], keys: Mapping[str, Sequence[str]], user: str) -> list[Finding]:
    """Findings about the tables to be read by our role."""
    return [finding for name, key in keys.items() for finding in table_findings(name, tables.get(name), key, user)]
