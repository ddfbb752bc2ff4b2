"""A database with an adapter on it, and a bus that takes its changes."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import psycopg
import pytest

from adapters.postgres import PostgresAdapter
from adapters.postgres.config import PostgresConfig
from bus import wire
from bus.config import Settings
from bus.kafka.admin import Admin, NewTopic
from bus.kafka.registry_client import SchemaRegistry
from bus.pipeline.publication import Publication, Published
from bus.pipeline.runtime import AdapterRuntime
from bus.testing.guarded import Guarded
from bus.testing.reading import Reading
from bus.testing.topics import TopicRecord, read_topic
from bus.testing.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from bus.config import Connection
    from bus.spi import Finding, Position


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A small bus on a broker with logins, its workspace applied."""
    with Guarded(tmp_path_factory.mktemp("guarded")) as running:
        asyncio.run(running.apply())
        yield running


class Source:
    """A database of one's own, and an adapter named as nobody else's."""

    def __init__(self, parameters: dict[str, Any], name: str) -> None:
        self.parameters = parameters
        self.name = name

    async def sql(self, *statements: str) -> list[Any]:
        """Run statements, each in its own transaction; the rows of the last one."""
        async with await psycopg.AsyncConnection.connect(**self.parameters, autocommit=True) as connection:
            for statement in statements:
                cursor = await connection.execute(statement.encode())
            return await cursor.fetchall() if cursor.description else []

    async def transaction(self, *statements: str) -> None:
        """Run statements in one transaction."""
        async with await psycopg.AsyncConnection.connect(**self.parameters) as connection:
            for statement in statements:
                await connection.execute(statement.encode())

    def adapter(self, **fields: Any) -> PostgresAdapter:
        told = {"host": "127.0.0.1", "port": self.parameters["port"], "database": self.parameters["dbname"]}
        config = PostgresConfig.model_validate(told | {"user": "postgres"} | fields)
        return PostgresAdapter(self.name, config)

    def read(self, *datasets: str, resume_from: Position | None = None, acknowledge: bool = True) -> Reading:
        return Reading(self.adapter(), datasets, resume_from, acknowledge=acknowledge)

    async def findings(self, table: str, *key: str, **fields: Any) -> list[Finding]:
        return await self.adapter(**fields).check([table], {table: key})

    async def slot(self) -> tuple[Any, ...] | None:
        """Whether it is read, and up to where its changes may be forgotten."""
        rows = await self.sql(
            "select active, confirmed_flush_lsn, pg_current_wal_lsn() - confirmed_flush_lsn"
            f" from pg_replication_slots where slot_name = '{self.adapter()._slot}'"
        )
        return rows[0] if rows else None


class Bus:
    """A bus that runs an adapter in this process: `async with Bus(…) as bus: await bus.raw(3)`."""

    def __init__(self, settings: Settings, source: Source, table: str, key: tuple[str, ...]) -> None:
        self.settings = settings
        self.source = source
        self.dataset = f"{source.name.replace('-', '_')}.rows"
        self.publication = Publication(
            source.name, self.dataset.split(".", maxsplit=1)[0], "urn:shuniu:t:x:y",
            (Published(self.dataset, table, key, 2),),
        )  # fmt: skip
        self.running: Running | None = None

    async def create(self) -> None:
        admin = Admin(self.settings.kafka)
        keep = {"cleanup.policy": "delete"}
        topics = [
            NewTopic(wire.raw_topic(self.dataset), 2, keep),
            NewTopic(wire.dlq_topic(self.dataset), 1, keep),
            NewTopic(wire.positions_topic(self.publication.department), 1, {"cleanup.policy": "compact"}),
        ]
        await asyncio.to_thread(admin.create_topics, topics)

    async def publish(self, name: str, table: str, *key: str) -> str:
        """One more dataset, from the next run on; its name."""
        dataset = Published(f"{self.publication.department}.{name}", table, key, 2)
        await asyncio.to_thread(
            Admin(self.settings.kafka).create_topics, [NewTopic(wire.raw_topic(dataset.name), 2, {})]
        )
        self.publication = replace(self.publication, datasets=(*self.publication.datasets, dataset))
        return dataset.name

    def run(self, *, anew: bool = False, share: float = 0.3, **fields: Any) -> Running:
        return Running(self, anew=anew, share=share, fields=fields)

    async def raw(self) -> list[TopicRecord]:
        return await read_topic(self.settings, wire.raw_topic(self.dataset))

    async def dlq(self) -> list[TopicRecord]:
        return await read_topic(self.settings, wire.dlq_topic(self.dataset), decode=False)

    async def state(self) -> dict[str, Any]:
        """What the raw topic leaves under each key."""
        rows: dict[str, Any] = {}
        for record in await self.raw():
            rows[record.key.decode()] = record.value["after"]
        return {key: row for key, row in rows.items() if row is not None}

    async def until_raw(self, count: int) -> list[TopicRecord]:
        """The records of raw, once there are so many and no snapshot is open: one that is cut is taken again."""

        async def there() -> bool:
            records = await self.raw()
            snapshot = self.running is not None and self.running.has_open_snapshot()
            return len(records) >= count and not snapshot

        await until(there, within=60, what=f"{count} records on raw")
        return await self.raw()


class Running:
    """An adapter's runtime, running; `task` ends with what ended it."""

    def __init__(self, bus: Bus, *, anew: bool, share: float, fields: dict[str, Any]) -> None:
        self._bus = bus
        self._fields = fields
        self._anew = anew
        self._share = share

    async def __aenter__(self) -> Self:
        bus = self._bus
        self._registry = SchemaRegistry(bus.settings.registry_url)
        published = bus.publication
        chosen = Publication(published.adapter, published.department, published.source, published.datasets, self._share)
        adapter = bus.source.adapter(**self._fields)
        self.runtime = AdapterRuntime(adapter, chosen, bus.settings, self._registry, anew=self._anew)
        self.task = asyncio.create_task(self.runtime.run())
        bus.running = self
        return self

    def has_open_snapshot(self) -> bool:
        """Whether a snapshot is under way; what has ended the runtime is raised."""
        if self.task.done():
            self.task.result()
        return bool(self.runtime.counts.progress.snapshots)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await self.task
        await self._registry.close()


@pytest.fixture
def source(postgres_database: dict[str, Any], unique: Callable[[str], str]) -> Source:
    return Source(postgres_database, unique("src"))


@pytest.fixture
def make_bus(source: Source, kafka_connection: Connection, registry_url: str) -> Callable[..., Any]:
    """`await make_bus("public.t", "id")` is a bus that publishes a table by a key."""

    async def make(table: str, *key: str) -> Bus:
        bus = Bus(Settings(kafka=kafka_connection, registry_url=registry_url, bus_id="tests"), source, table, key)
        await bus.create()
        return bus

    return make
