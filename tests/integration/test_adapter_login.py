"""`bus adapter run` where only the adapter's own login is at hand, as on a front-end host of the department."""

from __future__ import annotations

import asyncio
import os
import shutil
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from bus.catalogue.workspace import starter_workspace
from bus.children import BusProcess
from bus.config import ENVIRONMENT
from bus.credentials import Credentials, adapter_principal
from bus.testing.guarded import Guarded
from bus.testing.topics import read_topic
from bus.testing.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RAW = "raw.scjg.companies"
COMPANIES = "insert into companies values ('91320500DEMQ100015', '甲公司', '2020-05-01', '存续'), ('2', '乙', '', '1')"


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    with Guarded(tmp_path) as running:
        asyncio.run(running.apply())
        yield running


@pytest.fixture
def source(postgres_database: dict[str, Any]) -> dict[str, Any]:
    """A database with the table that `bus init` describes, and two rows in it."""
    ddl = starter_workspace() / "companies" / "companies.sql"
    with psycopg.connect(**postgres_database, autocommit=True) as connection:
        connection.execute(ddl.read_bytes())
        connection.execute("create publication shuniu_scjg for table public.companies")
        connection.execute(COMPANIES.encode())
    return postgres_database


async def test_an_adapter_does_its_whole_work_with_its_own_login(
    guarded: Guarded, source: dict[str, Any], tmp_path: Path
) -> None:
    host = Credentials(tmp_path / "host")
    host.folder.mkdir(parents=True)
    own = guarded.credentials.file(adapter_principal("scjg"))
    shutil.copy(own, host.file(adapter_principal("scjg")))
    config = tmp_path / "scjg.yaml"
    config.write_text(
        f"host: 127.0.0.1\nport: {source['port']}\ndatabase: {source['dbname']}\nuser: postgres\n", encoding="utf-8"
    )
    environment = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT.values()}
    environment["BUS_DATA_DIR"] = str(tmp_path / "host")

    def run(*arguments: str) -> BusProcess:
        command = ("adapter", "run", "scjg", "--config", str(config), *arguments)
        return BusProcess(command, environment, tmp_path / "adapter.log")

    async def left() -> dict[bytes, str]:
        records = await read_topic(guarded.settings, RAW)
        return {record.key: record.value["op"] for record in records}

    adapter = run()
    try:
        await until(
            lambda: _is(left, {b"91320500DEMQ100015": "r", b"2": "r"}), within=30, what="the snapshot is on raw"
        )
    finally:
        adapter.end()

    with psycopg.connect(**source, autocommit=True) as connection:
        connection.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots")
        connection.execute("delete from companies where tyshxydm = '2'")  # seen by a new snapshot's end alone
    adapter = run("--snapshot")
    try:
        await until(lambda: _is(left, {b"91320500DEMQ100015": "r", b"2": "d"}), within=30, what="the new one is swept")
    finally:
        adapter.end()
    password = (host.read(adapter_principal("scjg")) or {})["KAFKA_PASSWORD"]
    assert password not in adapter.text()
    assert "Authorization" not in adapter.text()


async def _is(found: Any, wanted: dict[bytes, str]) -> bool:
    return bool(await found() == wanted)
