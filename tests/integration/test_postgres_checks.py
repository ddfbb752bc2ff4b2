"""What `bus adapter check` says of a PostgreSQL that cannot be read as it is: each finding with its fix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bus.errors import Severity, SourceUnavailableError
from bus.testing.postgres import PostgresServer
from tests.integration.conftest import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bus.errors import Finding


@pytest.fixture(scope="module")
def plain_server() -> Iterator[PostgresServer]:
    """A server as it comes: no logical decoding, few slots."""
    with PostgresServer({"wal_level": "replica", "max_replication_slots": "0"}) as server:
        yield server


@pytest.fixture
def role(source: Source) -> str:
    return f"reader_{source.name.replace('-', '_')}"


def errors(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity is Severity.ERROR]


def only(findings: list[Finding], part: str) -> Finding:
    (found,) = [finding for finding in findings if part in finding.message]
    assert found.fix
    return found


async def test_a_table_with_its_own_key_has_no_findings(source: Source) -> None:
    await source.sql("create table t (id int primary key)")

    assert await source.findings("public.t", "id") == []


async def test_a_server_without_logical_decoding(plain_server: PostgresServer) -> None:
    source = Source(plain_server.parameters(), "plain")
    await source.sql("create table if not exists t (id int primary key)")

    findings = await source.findings("public.t", "id")

    finding = only(findings, "wal_level is replica")
    assert finding.fix == "alter system set wal_level = 'logical'; then restart PostgreSQL"
    assert "max_replication_slots" in only(findings, "all 0 replication slots are in use").fix


@pytest.mark.parametrize(("standbys", "waits"), [("*", True), ('FIRST 1 (near, "shuniu")', True), ("near, far", False)])
async def test_a_server_whose_commits_would_wait_for_the_adapter(
    unique: Callable[[str], str], standbys: str, waits: bool
) -> None:
    with PostgresServer({"synchronous_standby_names": standbys, "synchronous_commit": "local"}) as server:
        source = Source(server.parameters(), unique("awaited"))
        await source.sql("create table t (id int primary key)")

        findings = await source.findings("public.t", "id")

    assert ["commits may wait for this adapter" in finding.message for finding in findings] == ([True] if waits else [])


async def test_a_role_that_may_not_replicate_nor_read_nor_publish(source: Source, role: str) -> None:
    await source.sql("create table t (id int primary key)", f"create role {role} login")
    try:
        findings = await source.findings("public.t", "id", user=role)

        assert only(findings, "may not replicate").fix == f"alter role {role} with replication"
        grant = only(findings, "may not read").fix
        publish = only(findings, "does not hold public.t").fix
        assert "create publication" in publish

        await source.sql(only(findings, "may not replicate").fix, *grant.split("; "), publish.partition(": ")[2])
        assert await source.findings("public.t", "id", user=role) == []
        async with source.read("public.t") as reading:  # and it reads
            reading._adapter = source.adapter(user=role)
            await reading.snapshot()
    finally:
        await source.sql(f"drop owned by {role}", f"drop role {role}")


async def test_a_publication_of_another_that_lacks_the_table(source: Source, role: str) -> None:
    await source.sql(
        "create table t (id int primary key)",
        "create table other (id int primary key)",
        "create publication theirs for table other",
        f"create role {role} login replication",
        f"grant select on t to {role}",
    )
    try:
        findings = await source.findings("public.t", "id", user=role, publication="theirs")
        fix = only(errors(findings), "publication theirs does not hold public.t").fix
        assert "alter publication" in fix

        await source.sql(fix.partition(": ")[2])
        assert await source.findings("public.t", "id", user=role, publication="theirs") == []
    finally:
        await source.sql(f"drop owned by {role}", f"drop role {role}")


async def test_a_publication_that_leaves_changes_out(source: Source) -> None:
    await source.sql("create table t (id int primary key)")
    await source.sql("create publication thin for table t with (publish = 'insert')")

    finding = only(errors(await source.findings("public.t", "id", publication="thin")), "leaves changes out")

    await source.sql(finding.fix)
    assert await source.findings("public.t", "id", publication="thin") == []


async def test_a_publication_that_names_partitions_instead_of_their_table(source: Source) -> None:
    await source.sql(
        "create table t (id int primary key) partition by range (id)", "create publication parts for table t"
    )

    finding = only(errors(await source.findings("public.t", "id", publication="parts")), "partitions")

    await source.sql(finding.fix)
    assert await source.findings("public.t", "id", publication="parts") == []


async def test_a_table_that_is_not_there(source: Source) -> None:
    finding = only(await source.findings("public.nothing", "id"), "no such table")

    assert finding.where == "public.nothing"
    assert "discover" in finding.fix


async def test_a_key_that_the_table_does_not_have(source: Source) -> None:
    await source.sql("create table t (id int primary key)")

    assert "number" in only(await source.findings("public.t", "number"), "does not have").message


@pytest.mark.parametrize(
    "table",
    [
        "create table t (id int primary key, number text not null unique)",
        "create table t (id int, number text not null)",
        "create table t (id int primary key, number text unique); alter table t replica identity nothing",
    ],
)
async def test_a_replica_identity_without_the_key(source: Source, table: str) -> None:
    await source.sql(*table.split("; "))

    finding = only(errors(await source.findings("public.t", "number")), "the replica identity lacks it")
    assert "number" in finding.message

    await source.sql(finding.fix)
    assert not [each for each in await source.findings("public.t", "number") if "identity" in each.message]


async def test_a_key_that_can_change_hands_where_nothing_else_tells_the_rows_apart(source: Source) -> None:
    await source.sql(
        "create table t (number text not null unique deferrable, note text)", "alter table t replica identity full"
    )

    assert "not deferrable" in only(errors(await source.findings("public.t", "number")), "change hands").fix


async def test_an_old_row_without_the_primary_key_where_the_key_can_change_hands(source: Source) -> None:
    await source.sql(
        "create table t (id int primary key, number text not null, part int not null, unique (number, part))",
        "alter table t replica identity using index t_number_part_key",
    )

    finding = only(errors(await source.findings("public.t", "number")), "tells the rows apart")
    assert finding.fix == "alter table public.t replica identity full"


async def test_a_key_that_is_not_unique_is_a_warning(source: Source) -> None:
    await source.sql("create table t (id int primary key, number text)", "alter table t replica identity full")

    (finding,) = await source.findings("public.t", "number")
    assert finding.severity is Severity.WARNING
    assert "overwrite" in finding.message


async def test_names_that_need_quotes_are_quoted_in_the_fix(source: Source) -> None:
    await source.sql('create table "人口 T" (id int primary key, number text)')

    finding = only(errors(await source.findings("public.人口 T", "number")), "the replica identity lacks it")

    await source.sql(finding.fix)
    assert not errors(await source.findings("public.人口 T", "number"))


async def test_a_server_that_does_not_answer(source: Source) -> None:
    with pytest.raises(SourceUnavailableError) as unavailable:
        await source.findings("public.t", "id", port=1)

    assert "127.0.0.1:1" in unavailable.value.where
