"""The pytest plugin that ships with the bus: a broker, a registry and a PostgreSQL for a test session.

Loaded by every pytest in an environment where the bus is installed, hence cheap: it imports when a fixture is used.
KAFKA_BOOTSTRAP and BUS_REGISTRY_URL, when set, name the ones to use instead of our own.
"""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bus.config import Connection
    from bus.testing.postgres import PostgresServer
    from bus.testing.processes import BusProcesses


@pytest.fixture(scope="session")
def kafka_connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A connection to a real Kafka: one embedded broker for the session, or the one of KAFKA_BOOTSTRAP."""
    from bus.config import Settings  # noqa: PLC0415  (lazily: see above)

    if os.environ.get("KAFKA_BOOTSTRAP"):
        yield Settings.load().kafka
        return
    from bus.kafka.embedded import EmbeddedKafka  # noqa: PLC0415

    with EmbeddedKafka(tmp_path_factory.mktemp("kafka")) as kafka:
        yield Settings.load({}, bootstrap=kafka.bootstrap).kafka


@pytest.fixture(scope="session")
def registry_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a schema registry: one of ours over the session's broker, or that of BUS_REGISTRY_URL."""
    if given := os.environ.get("BUS_REGISTRY_URL"):
        yield given
        return
    from bus.testing.registry_thread import RegistryThread  # noqa: PLC0415

    with RegistryThread(request.getfixturevalue("kafka_connection")) as registry:
        yield registry.url


@pytest.fixture
def unique() -> Callable[[str], str]:
    """`unique("orders")` is a name that no other test has: `orders-1f0c…`; tests share one broker."""
    return lambda prefix: f"{prefix}-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real PostgreSQL with `wal_level=logical`, one for the session."""
    from bus.testing.postgres import PostgresServer  # noqa: PLC0415

    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_database(postgres_server: PostgresServer) -> Iterator[dict[str, Any]]:
    """A fresh database of its own: libpq's parameters of its superuser. Its slots are dropped with it."""
    import psycopg  # noqa: PLC0415
    from psycopg import sql  # noqa: PLC0415

    name = f"t{uuid.uuid4().hex[:12]}"
    with psycopg.connect(**postgres_server.parameters(), autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    yield postgres_server.parameters(name)
    with psycopg.connect(**postgres_server.parameters(), autocommit=True) as connection:
        ended = "select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = %s"  # and waited for
        connection.execute(ended, (name,))
        dropped = "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = %s"
        connection.execute(dropped, (name,))
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def bus_processes(tmp_path: Path) -> Iterator[BusProcesses]:
    """Starts `bus …` processes, and ends all of them with the test."""
    from bus.testing.processes import BusProcesses  # noqa: PLC0415

    with BusProcesses(tmp_path) as processes:
        yield processes
