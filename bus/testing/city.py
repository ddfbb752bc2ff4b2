"""The demo's city as a test rig: real broker, registry, PostgreSQL, register, portal; worker, adapter as processes.

What each side holds is compared by `bus.demo.proof` and `bus.testing.journal`, which share no code with the data path.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, Final, Self

import psycopg

from bus import wire
from bus.catalogue.apply import apply_workspace
from bus.catalogue.workspace import default_workspace
from bus.config import Connection, Settings
from bus.credentials import adapter_principal, as_principal
from bus.demo.city import valid_divisions
from bus.demo.proof import compare, expected_state
from bus.demo.register import Register
from bus.demo.subscriber import DemoSubscriber
from bus.demo.views import demo_views
from bus.kafka.embedded import EmbeddedKafka
from bus.kafka.partitions import partition_of
from bus.testing.journal import committed_sequences, raw_sequences
from bus.testing.postgres import PostgresServer
from bus.testing.processes import BusProcesses
from bus.testing.registry_thread import RegistryThread
from bus.testing.topics import read_topic
from bus.testing.waiting import until
from bus.testing.workspaces import population_workspace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from types import TracebackType

    from bus.children import BusProcess
    from bus.subscriber import Record

RAW: Final = "raw.gongan.population"
SHARED: Final = "shared.population.person"
SHARED_PARTITIONS: Final = 8
"""Of the shared topic; those of raw and of the view divide it, so that its partition tells every lane on the way."""

AGAIN_SECONDS: Final = 15.0
"""Data flows again within that after any fault (design §3)."""


TOPIC: Final = "view.portal-person.v1"


class WatchedPortal(DemoSubscriber):
    """The portal, which also tells how far it is behind, partition by partition."""

    def __init__(self, settings: Settings) -> None:
        portal, *_ = demo_views(secret="")
        super().__init__(portal, settings)
        self._newest = dict.fromkeys(range(SHARED_PARTITIONS), 0.0)

    def take(self, record: Record, now: float) -> None:
        """Take one record in."""
        super().take(record, now)
        partition = partition_of(record.key.encode(), SHARED_PARTITIONS)
        self._newest[partition] = max(self._newest[partition], wire.micros(record.event.time) / 1e6)

    @property
    def newest(self) -> float:
        """Source commit time of the newest change that came through any lane, seconds since 1970."""
        return max(self._newest.values())

    @property
    def through_all(self) -> float:
        """Source commit time up to which every lane has let something through."""
        return min(self._newest.values())


class City:
    """The city under test; `async with City(folder) as city`.

    Args:
        folder: for the broker's data, configurations and logs.
        rows: people in the register at the start.
        seed: of the people and their changes.
        kafka: the broker, if not a plain one.
        connection: how to reach it, once it runs; by default its own listener, without a login.
    """

    def __init__(
        self,
        folder: Path,
        *,
        rows: int = 300,
        seed: int = 320500,
        kafka: EmbeddedKafka | None = None,
        connection: Connection | None = None,
    ) -> None:
        self.kafka = kafka or EmbeddedKafka(folder / "kafka")
        self._connection = connection
        self.postgres = PostgresServer()
        self.processes = BusProcesses(folder)
        self.settings = Settings()
        self._folder = folder
        self._rows = rows
        self._random = Random(seed)  # noqa: S311  synthetic people
        self._stack = AsyncExitStack()
        self._listening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start the servers, apply the packaged workspace, fill the register, let the portal listen."""
        await asyncio.gather(asyncio.to_thread(self.kafka.start), asyncio.to_thread(self.postgres.start))
        self._stack.callback(self.kafka.stop)
        self._stack.push(self.postgres)
        self._stack.enter_context(self.processes)
        kafka = self._connection or Connection(bootstrap=self.kafka.bootstrap)
        settings = Settings(kafka=kafka, data_dir=self._folder)
        registry = self._stack.enter_context(RegistryThread(settings.kafka))
        self.settings = settings.model_copy(update={"registry_url": registry.url})
        await apply_workspace(population_workspace(self._folder / "city"), self.settings)
        self.register = Register(self.postgres.parameters(), self._random)
        ddl = (default_workspace() / "gongan" / "population.sql").read_text(encoding="utf-8")
        await self.register.create(ddl, self._rows)
        self.portal = WatchedPortal(as_principal(self.settings, "portal"))
        self._listening = asyncio.create_task(self.portal.listen(), name="portal")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything; the processes before the servers that they need."""
        assert self._listening is not None
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)
        await asyncio.to_thread(self.processes.__exit__, None, None, None)
        await self._stack.aclose()

    def worker(self) -> BusProcess:
        """Start a worker."""
        return self.processes.start(self.settings, "worker")

    def adapter(self, *arguments: str, port: int = 0) -> BusProcess:
        """Start the register's adapter; `port` is PostgreSQL's, or that of a proxy before it."""
        config = self._folder / f"gongan-{port}.yaml"
        config.write_text(f"host: 127.0.0.1\nport: {port or self.postgres.port}\ndatabase: postgres\nuser: postgres\n")
        own = as_principal(self.settings, adapter_principal("gongan"))
        return self.processes.start(own, "adapter", "run", "gongan", "--config", str(config), *arguments)

    @asynccontextmanager
    async def load(self, rate: float) -> AsyncIterator[None]:
        """The register's application works, at so many transactions a second; it comes back when its server does."""
        stop = asyncio.Event()
        writing = asyncio.create_task(self._write(rate, stop), name="register")
        try:
            yield
        finally:
            stop.set()
            await writing

    async def _write(self, rate: float, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self.register.work(rate, stop)
            except psycopg.OperationalError:
                await until(self._reconnected, within=30, what="the register's server")

    async def _reconnected(self) -> bool:
        try:
            await self.register.recall()
        except psycopg.OperationalError:
            return False
        return True

    async def flows_again(self, since: float | None = None, within: float = AGAIN_SECONDS) -> float:
        """Seconds from `since` (now) until the portal has changes that were committed after it, through every lane.

        Raises:
            AssertionError: not within so many seconds.
        """
        since = since or time.time()
        try:
            await until(lambda: self._check() and self.portal.through_all > since, within=within, what="data flows")
        except AssertionError as late:
            late.add_note(await self._how_far(since))
            raise
        return time.time() - since

    async def _how_far(self, since: float) -> str:
        """Records committed after that moment, stage by stage and partition by partition."""
        told = []
        for topic in (RAW, SHARED, TOPIC):
            records = await read_topic(self.settings, topic, decode=False)
            newer = Counter(
                record.partition for record in records if wire.micros(record.headers["ce_time"]) / 1e6 > since
            )
            told.append(f"{topic}: {dict(sorted(newer.items()))} of {len(records)}")
        return "\n".join([*told, f"the portal: {self.portal.received} received"])

    def _check(self) -> bool:
        """The portal still listens; what ended it is raised."""
        assert self._listening is not None
        if self._listening.done():
            self._listening.result()
        return True

    async def settled(self, within: float = 30.0) -> None:
        """Wait until the portal has exactly what the register's journal says that it must have.

        Raises:
            AssertionError: with the difference, when it does not come to that.
        """
        expected = expected_state(await self.register.journal(), valid_divisions())
        verdict = compare(expected, self.portal.state)
        deadline = time.monotonic() + within
        while not verdict.same and time.monotonic() < deadline:
            self._check()
            await asyncio.sleep(0.1)
            verdict = compare(expected, self.portal.state)
        assert verdict.same, f"the portal differs from the register: {verdict}"

    async def prove(self) -> None:
        """Exactly once, in order, nothing leaked: at the portal, on shared, and change by change on raw.

        Raises:
            AssertionError: what is wrong.
        """
        await self.settled()
        portal = self.portal
        assert (portal.doubled, portal.out_of_order, portal.leaked) == (0, 0, 0), "doubled, out of order, leaked"
        raw = await read_topic(self.settings, RAW)
        for topic in (SHARED, TOPIC):
            records = await read_topic(self.settings, topic, decode=False)
            identities = [(record.event_id, record.key) for record in records]
            assert len(identities) == len(set(identities)), f"{topic} holds a record twice"
        told, expected = raw_sequences(raw), committed_sequences(await self.register.journal(), raw)
        assert told.keys() == expected.keys(), "keys that raw lacks, or should not have"
        wrong = [key for key, changes in expected.items() if told[key] != changes]
        assert not wrong, f"{len(wrong)} keys whose sequence on raw is not the journal's, of {len(expected)}"
