"""Several registries over one `_schemas`, and a broker that goes and comes back."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from bus.config import Connection, Settings
from bus.errors import RegistryUnavailableError
from bus.http_server import PortTakenError
from bus.kafka.embedded import EmbeddedKafka
from bus.kafka.registry_client import RegistryRefusedError, SchemaRegistry
from bus.registry.server import RegistryServer
from bus.testing.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COMMAND = [sys.executable, "-c", "from bus.cli import main; main()", "registry", "--port", "0"]


def record(name: str, *fields: str) -> dict[str, Any]:
    declared = [{"name": field, "type": "string", "default": ""} for field in fields]
    return {"type": "record", "name": name, "fields": declared}


async def test_two_registries_never_give_one_number_twice(
    kafka_connection: Connection, unique: Callable[[str], str]
) -> None:
    settings, subject = Settings(kafka=kafka_connection), unique("s")
    async with (
        RegistryServer(settings) as one,
        RegistryServer(settings) as two,
        SchemaRegistry(one.url) as first,
        SchemaRegistry(two.url) as second,
    ):
        schemas = [record("R", f"field{i}") for i in range(20)]
        ids = await asyncio.gather(
            *(client.register(subject, schema) for schema, client in zip(schemas, [first, second] * 10, strict=True))
        )

        assert len(set(ids)) == 20

        async def all_known() -> bool:
            latest = await first.latest(subject)
            return latest is not None and latest[0] == 20

        await until(all_known, within=5, what="the one has followed what the other wrote")
        assert [await second.schema(schema_id) for schema_id in ids] == schemas


async def test_what_one_registry_wrote_another_knows_at_once(
    kafka_connection: Connection, unique: Callable[[str], str]
) -> None:
    settings, subject = Settings(kafka=kafka_connection), unique("s")
    async with (
        RegistryServer(settings) as one,
        RegistryServer(settings) as two,
        SchemaRegistry(one.url) as first,
        SchemaRegistry(two.url) as second,
    ):
        await first.set_compatibility(subject, "FULL_TRANSITIVE")
        schema_id = await first.register(subject, record(subject.replace("-", "_"), "a"))
        assert await second.schema(schema_id) == record(subject.replace("-", "_"), "a")

        required = record(subject.replace("-", "_"), "a") | {"fields": [{"name": "b", "type": "int"}]}
        assert await second.compatible(subject, required)
        with pytest.raises(RegistryRefusedError) as refused:
            await second.register(subject, required)
        assert refused.value.code == 409


async def test_while_the_broker_is_away_known_schemas_are_served_and_writes_wait_for_its_return(
    tmp_path: Path,
) -> None:
    with EmbeddedKafka(tmp_path) as kafka:
        settings = Settings.load({}, bootstrap=kafka.bootstrap)
        async with RegistryServer(settings) as server, SchemaRegistry(server.url) as registry:
            schema_id = await registry.register("s", record("R"))
            await asyncio.to_thread(kafka.stop)

            async with SchemaRegistry(server.url) as another:
                assert await another.schema(schema_id) == record("R")
                with pytest.raises(RegistryUnavailableError):
                    await another.register("t", record("S"))

            await asyncio.to_thread(kafka.start)
            async with asyncio.timeout(60):
                while True:
                    try:
                        assert await registry.register("t", record("S")) > schema_id
                        break
                    except RegistryUnavailableError:
                        continue

        async with RegistryServer(settings) as fresh, SchemaRegistry(fresh.url) as registry:
            assert await registry.schema(schema_id) == record("R")


async def test_a_port_that_is_taken_is_named(kafka_connection: Connection) -> None:
    settings = Settings(kafka=kafka_connection)
    async with RegistryServer(settings) as server:
        with pytest.raises(PortTakenError) as refused:
            await RegistryServer(settings, port=server.port).start()

    assert str(server.port) in refused.value.where
    assert "--port" in refused.value.fix


async def test_a_registry_that_is_away_is_named() -> None:
    async with SchemaRegistry("http://127.0.0.1:1") as registry:
        with pytest.raises(RegistryUnavailableError) as unavailable:
            await registry.latest("s")

    assert "BUS_REGISTRY_URL" in unavailable.value.fix


def test_the_command_serves_until_a_signal(kafka_connection: Connection) -> None:
    process = subprocess.Popen([*COMMAND, "--bootstrap", kafka_connection.bootstrap], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    url = process.stdout.readline().split()[-1]

    async def ask() -> object:
        async with SchemaRegistry(url) as registry:
            return await registry.latest("nobody-knows-it")

    assert asyncio.run(ask()) is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
