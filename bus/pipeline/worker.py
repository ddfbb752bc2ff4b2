"""The worker role: a Faust app whose services follow the catalogue and own lanes of the data path."""

from __future__ import annotations

import asyncio
import math
import os
import ssl
import time
from typing import TYPE_CHECKING, Any, Final

import faust
import structlog
from mode import Service

from bus.catalogue.catalogue import CatalogueReader
from bus.catalogue.topics import CATALOGUE_TOPIC, COMMANDS_TOPIC, HEALTH_TOPIC, LANES_TOPIC
from bus.errors import DependencyError
from bus.kafka.admin import Admin
from bus.kafka.compacted import CompactedTopic
from bus.kafka.registry_client import SchemaRegistry
from bus.kafka.topics import partitions_of
from bus.pipeline import native
from bus.pipeline.codec import Decoders
from bus.pipeline.command import redrives
from bus.pipeline.heartbeat import Heart, WorkerBeat, this_host, worker_key
from bus.pipeline.instruments import of_worker
from bus.pipeline.lanes import LaneKeeper
from bus.pipeline.loop import Lane, LaneLoop, Shared, Work
from bus.pipeline.share_of_time import ShareOfTime
from bus.pipeline.works import GROUPS, ROUTE, StageWork, StageWorks, Unrouted, view_topics
from bus.process import collect_rarely
from bus.pseudonym_keys import pseudonym_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bus.config import Settings
    from bus.metrics import Instrument
    from bus.pipeline.command import Redrive

_log = structlog.get_logger()

FOLLOW_SECONDS: Final = 1.0
"""How often the catalogue is read on."""

LOOK_AGAIN_SECONDS: Final = 5.0
"""How often it is looked for what views lack: their topic, the key of a pseudonym."""

SCAN_SHARE: Final = 0.3
"""Of a worker's time, what filling new views may take (design §3)."""

NOTHING: Final = Work(frozenset())


class LaneWork:
    """What each lane does as of the newest catalogue; lanes ask it between batches."""

    def __init__(self) -> None:
        self._parts: dict[tuple[str, int], Work] = {}
        self.lanes = 0

    def replace(self, works: dict[str, StageWork], lanes: int) -> None:
        """Take in a new state."""
        self.lanes = lanes
        self._parts = {
            (stage, lane): work.of_lane(lane, lanes) for stage, work in works.items() for lane in range(lanes)
        }

    def of(self, stage: str, lane: int) -> Work:
        """The work of a lane of a stage."""
        return self._parts.get((stage, lane), NOTHING)


class Lanes(Service):
    """Follows the catalogue, and runs the lanes that the group of workers gives to this one."""

    def __init__(self, settings: Settings, registry: SchemaRegistry, **kwargs: Any) -> None:
        self._settings = settings
        self._registry = registry
        self._decoders = Decoders()
        self._reader = CatalogueReader()
        self._works = StageWorks(registry, self._decoders, self._pseudonym_key)
        self._work = LaneWork()
        self._heard: list[Redrive] = []
        self._commands: list[Redrive] = []
        self._shared = Shared(
            registry, self._decoders, ShareOfTime(SCAN_SHARE), self._look_again, commands=lambda: self._commands
        )
        self._admin = Admin(settings.kafka)
        self._reading = asyncio.Lock()
        self._look_at = math.inf
        self._looked_at = -math.inf
        self.counts = self._shared.counts
        self.keeper = LaneKeeper(settings.kafka, self._loops)
        self.worker = f"{this_host()}/{os.getpid()}"
        self.heart = Heart(settings.kafka, HEALTH_TOPIC, worker_key(self.worker), self.beat)
        self._told = "running"
        self._unrouted: Unrouted = {}
        self._tasks: list[asyncio.Task[None]] = []
        super().__init__(**kwargs)

    async def on_start(self) -> None:
        """Read the catalogue, then take part in the sharing out of lanes."""
        self._catalogue = CompactedTopic(self._settings.kafka, CATALOGUE_TOPIC)
        await self._catalogue.__aenter__()
        await self._read_catalogue()
        native.tell_path()
        await self.heart.__aenter__()
        self._tasks = [
            asyncio.create_task(self._follow(), name="catalogue"),
            asyncio.create_task(self._listen(), name="commands"),
            asyncio.create_task(self.keeper.run()),
        ]

    async def on_stop(self) -> None:
        """End every lane after the transaction that it is in."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._told = "stopped"
        await self.heart.__aexit__(None, None, None)
        await self._catalogue.close()
        await self._registry.close()

    def beat(self) -> WorkerBeat:
        """How the worker is now."""
        filling: dict[str, list[int]] = {}
        for loop in self.keeper.loops:
            for topic, (done, whole) in loop.filling.items():
                before = filling.setdefault(topic, [0, 0])
                before[:] = [before[0] + done, before[1] + whole]
        return WorkerBeat(
            worker=self.worker,
            state=self._told,
            lanes=self.keeper.lanes,
            failures={str(lane): reason for lane, reason in self.keeper.failures.items()},
            waiting={str(lane): reason for lane, reason in self.keeper.waiting.items()},
            filling=filling,
            unrouted=dict(self._unrouted),
            records=self.counts.read.total(),
            outputs=self.counts.written.total(),
            rejects=self.counts.rejected.total(),
            transactions=self.counts.transactions.total(),
        )

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(FOLLOW_SECONDS)
            heard = self._heard
            try:
                if await self._catalogue.refresh() or time.monotonic() >= self._look_at:
                    await self._read_catalogue()
                self._commands = heard  # who gave them may have applied a change just before: now it is known
            except DependencyError as error:
                _log.warning("catalogue not read", error=error.detail)

    async def _listen(self) -> None:
        """Follow `_bus.commands`; a worker starts without waiting for it."""
        while True:
            try:
                async with CompactedTopic(self._settings.kafka, COMMANDS_TOPIC) as topic:
                    while True:
                        now = time.time()
                        self._heard = [command for command in redrives(topic.items) if command.is_valid(now)]
                        await asyncio.sleep(FOLLOW_SECONDS)
                        await topic.refresh()
            except DependencyError as error:
                _log.warning("commands not read", error=error.detail)
                await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def _look_again(self) -> None:
        """A lane could not write: a topic of it was deleted, of a view that is gone or not. All lanes ask at once."""
        if time.monotonic() < self._looked_at + FOLLOW_SECONDS:
            return
        try:
            await self._read_catalogue()
        except DependencyError as error:
            _log.warning("catalogue not read", error=error.detail)

    async def _read_catalogue(self) -> None:
        async with self._reading:
            self._look_at = 0.0  # again, should this fail
            self._looked_at = time.monotonic()
            catalogue = self._reader.read(self._catalogue.items)
            lanes = await partitions_of(self._settings.kafka, LANES_TOPIC)
            wanted = view_topics(catalogue)
            topic_ids = await asyncio.to_thread(self._admin.topic_ids, wanted)
            works = await self._works.read(catalogue, topic_ids)
            self._work.replace(works, lanes)
            self._unrouted = works[ROUTE].unrouted
            is_whole = wanted <= topic_ids.keys() and not self._unrouted
            self._look_at = math.inf if is_whole else time.monotonic() + LOOK_AGAIN_SECONDS
        _log.info("catalogue read", resources=len(self._catalogue.items))

    def _pseudonym_key(self, name: str) -> bytes:
        return pseudonym_key(name, self._settings.data_dir)

    def _loops(self, lane: int) -> Iterator[LaneLoop]:
        for stage, group in GROUPS.items():
            yield LaneLoop(
                self._settings.kafka,
                Lane(f"{self._settings.bus_id}.{stage}.{lane}", group, lane),
                work=lambda stage=stage: self._work.of(stage, lane),  # type: ignore[misc]
                shared=self._shared,
            )


class App(faust.App):
    """A Faust app that keeps nothing on disk."""

    def _create_directories(self) -> None:
        """None: Faust would make folders for its tables wherever the worker was started."""


def worker_app(settings: Settings, registry: SchemaRegistry) -> tuple[faust.App, Lanes]:
    """The Faust app of a worker process, and the service in it that owns the lanes."""
    app = App(
        f"_bus.worker.{settings.bus_id}",
        broker=[f"kafka://{server}" for server in settings.kafka.bootstrap.split(",")],
        broker_credentials=_credentials(settings),
        store="memory://",
        topic_disable_leader=True,
        web_enabled=False,
    )
    app.producer_only = True
    lanes = Lanes(settings, registry, loop=None)
    app.add_dependency(lanes)
    return app, lanes


def _credentials(settings: Settings) -> Any:
    kafka = settings.kafka
    if kafka.security_protocol == "PLAINTEXT":
        return None
    context = ssl.create_default_context(cafile=kafka.ca_file) if kafka.security_protocol.endswith("SSL") else None
    if kafka.security_protocol == "SSL":
        return faust.SSLCredentials(context=context)
    return faust.SASLCredentials(
        username=kafka.username,
        password=kafka.password.get_secret_value(),
        mechanism=kafka.sasl_mechanism,
        ssl_context=context,
    )


async def run_worker(settings: Settings, instruments: list[Instrument] | None = None) -> None:
    """Run a worker until cancelled; its instrument is added to those given.

    Raises:
        BrokerUnavailableError: no broker answers at the start, or no workspace was applied to the cluster.
        RegistryUnavailableError: the registry does not answer at the start.
    """
    app, lanes = worker_app(settings, SchemaRegistry(settings.registry_url))
    if instruments is not None:
        instruments.append(of_worker(lanes))
    collect_rarely()
    try:
        await app.start()
        await app.wait_until_stopped()
    finally:
        await app.stop()
