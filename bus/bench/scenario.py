"""The measurements, one after the other on one cluster."""

from __future__ import annotations

import asyncio
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bus import wire
from bus.bench import dumps
from bus.bench.districts import topics, write_views
from bus.bench.dumps import Dumped
from bus.bench.events import DEMO_ROW, LIGHT_ROW
from bus.bench.fill import PARTITIONS, Filler
from bus.bench.processes import Measured, cpu_seconds, peak_megabytes
from bus.bench.quiet import READ_SELDOM, WARM_SECONDS, Quiet, Trickle, write_workspace, written_at
from bus.catalogue.apply import apply_workspace
from bus.catalogue.topics import NORMALISE_GROUP
from bus.catalogue.workspace import default_workspace
from bus.errors import BusError
from bus.kafka import clients
from bus.kafka.admin import Admin, NewTopic
from bus.pipeline import native

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping

    from bus.config import Settings

Place = tuple[str, int]

DRAIN_SECONDS: Final = 600.0
SUBSCRIBERS: Final = ("portal", "gusu", "statistics")
"""Folders of the default workspace that are left out, so that normalising is measured alone."""

LANES_OWNED: Final = "lanes owned"


class BacklogTooSmallError(BusError):
    """A scenario was through before its measuring could begin."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """One run through a backlog.

    Attributes:
        name: of the scenario.
        records: how many.
        seconds: from the first read to the last commit.
        worker_cpu, broker_cpu: CPU-seconds per million records.
        peak_mb: largest resident size of the worker, MB.
    """

    name: str
    records: int
    seconds: float
    worker_cpu: float
    broker_cpu: float
    peak_mb: float

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / self.seconds


@dataclass(frozen=True, slots=True)
class Latency:
    """One run at a steady rate: from a record's `ce_time` to its reader, milliseconds."""

    name: str
    events: int
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is there to be read: so many records, up to these offsets, by this group."""

    records: int
    ends: dict[Place, int]
    group: str


class Bench:
    """The scenarios.

    Args:
        settings: the cluster and the registry.
        broker_pid: of an embedded broker, whose CPU time is then told; 0 for another cluster.
        folder: for the workspace and logs.
    """

    def __init__(self, settings: Settings, broker_pid: int, folder: Path) -> None:
        self._settings = settings
        self._broker_pid = broker_pid
        self._folder = folder
        self._admin = Admin(settings.kafka)
        self._copies = 0
        self._dumped = 0

    async def apply(self, *, view: bool) -> None:
        """Apply the bench's workspace: the default one without its subscribers, and the light mapping."""
        workspace = self._folder / "workspace"
        if not workspace.exists():
            shutil.copytree(default_workspace(), workspace, ignore=shutil.ignore_patterns(*SUBSCRIBERS, "*.sql"))
            shutil.copytree(Path(__file__).parent / "workspace", workspace / "bench")
        extra = workspace / "bench" / "view.yaml"
        extra.unlink(missing_ok=True)
        if view:
            shutil.copy(Path(__file__).parent / "workspace_view.yaml", extra)
        await apply_workspace(workspace, self._settings)

    async def normalise(self, name: str, records: int, *, reference: bool = False) -> Throughput:
        """A worker through a backlog of the light or the demo mapping's dataset; if asked, by the reference alone."""
        backlog = Backlog(records, await self._filler(name).fill(records), NORMALISE_GROUP)
        if reference:
            return await self._drain(f"normalise ({name}), reference", ["bus", "worker"], backlog, native.BY_REFERENCE)
        return await self._drain(f"normalise ({name})", ["bus", "worker"], backlog)

    def _filler(self, name: str) -> Filler:
        dataset, row = ("bench.people", LIGHT_ROW) if name == "light" else ("gongan.population", DEMO_ROW)
        return Filler(self._settings, dataset, row)

    async def copy(self, records: int) -> Throughput:
        """The raw copy through a backlog of the light dataset."""
        return await self._move("raw aiokafka copy", "copy", records)

    async def by_hand(self, records: int) -> Throughput:
        """The light mapping by hand through the same backlog."""
        return await self._move("aiokafka + fastavro by hand", "by-hand", records)

    async def _move(self, name: str, job: str, records: int) -> Throughput:
        self._copies += 1
        group, target = f"bench-{job}-{self._copies}", f"bench.{job}.{self._copies}"
        ends = await self._filler("light").fill(records)
        self._admin.create_topics([NewTopic(target, PARTITIONS, {})])
        # The copy begins at this backlog, not at what earlier runs left.
        read = self._admin.committed(NORMALISE_GROUP)
        self._admin.set_committed(group, {place: read.get(place, 0) for place in ends})
        command = ["bus.bench.copy", job, wire.raw_topic("bench.people"), target, group]
        return await self._drain(name, command, Backlog(records, ends, group))

    async def _drain(
        self, name: str, command: list[str], backlog: Backlog, variables: Mapping[str, str] | None = None
    ) -> Throughput:
        """Run a process through a backlog; measured from its first commit on, so that its start does not count.

        Raises:
            BacklogTooSmallError: nothing was left to measure then.
        """
        begin = self._committed(backlog)
        with Measured(command, self._settings, self._folder / "worker.log", variables) as worker:
            await _until(lambda: worker.said("") and self._committed(backlog) > begin)
            first = self._committed(backlog)
            started, worker_cpu, broker_cpu = time.monotonic(), cpu_seconds(worker.pid), self._broker_cpu()
            await _until(lambda: worker.said("") and self._is_done(backlog))
            seconds = time.monotonic() - started
            worker_cpu, broker_cpu = cpu_seconds(worker.pid) - worker_cpu, self._broker_cpu() - broker_cpu
            peak = peak_megabytes(worker.pid)
        if not (records := sum(backlog.ends.values()) - first):
            raise BacklogTooSmallError(
                f"{name}: {backlog.records} records are through at once", fix="measure more: --records 50000"
            )
        return Throughput(name, records, seconds, worker_cpu * 1e6 / records, broker_cpu * 1e6 / records, peak)

    def _broker_cpu(self) -> float:
        return cpu_seconds(self._broker_pid) if self._broker_pid else float("nan")

    def _committed(self, backlog: Backlog) -> int:
        """How far the group is, over all partitions of the backlog."""
        now = self._admin.committed(backlog.group)
        return sum(now.get(place, 0) for place in backlog.ends)

    def _is_done(self, backlog: Backlog) -> bool:
        now = self._admin.committed(backlog.group)
        return all(now.get(place, 0) >= end for place, end in backlog.ends.items())

    async def pipeline_latency(self, rate: float, seconds: float) -> Latency:
        """Raw → shared → view at a steady rate, through one worker."""
        with Measured(["bus", "worker"], self._settings, self._folder / "worker.log") as worker:
            await _until(lambda: worker.said(LANES_OWNED))
            views = [wire.view_topic("bench-person", 1)]
            return await self._latency("normalise + 1 view", views, self._filler("light").trickle(rate, seconds))

    async def district_latency(self, districts: int, rate: float, seconds: float) -> Latency:
        """Raw → shared → one of so many districts' views at a steady rate, through one worker."""
        folder = self._folder / "workspace" / "bench"
        write_views(Path(__file__).parent / "workspace_view.yaml", folder / "view.yaml", districts)
        await apply_workspace(self._folder / "workspace", self._settings)
        filler = Filler(self._settings, "bench.people", LIGHT_ROW, districts)
        with Measured(["bus", "worker"], self._settings, self._folder / "worker.log") as worker:
            await _until(lambda: worker.said(LANES_OWNED))
            name = f"normalise + {districts} district views"
            return await self._latency(name, topics(districts), filler.trickle(rate, seconds), **READ_SELDOM)

    async def bare_latency(self, rate: float, seconds: float) -> Latency:
        """The same way through two raw copies: two bare transactional hops."""
        raw = wire.raw_topic("bench.people")
        hops = [(raw, "bench.hop.1", "bench-hop-1"), ("bench.hop.1", "bench.hop.2", "bench-hop-2")]
        self._admin.create_topics([NewTopic(target, PARTITIONS, {}) for _, target, _ in hops])
        processes = [["bus.bench.copy", "copy", *hop] for hop in hops]
        log = self._folder / "worker.log"
        with Measured(processes[0], self._settings, log) as one, Measured(processes[1], self._settings, log) as two:
            await _until(lambda: one.said("ready") and two.said("ready"))
            writing = self._filler("light").trickle(rate, seconds)
            return await self._latency("two bare hops", ["bench.hop.2"], writing)

    async def quiet(self, datasets: int, seconds: float) -> Quiet:
        """So many datasets, an event a second each, through one worker; measured once each has come through."""
        bench = self._folder / "workspace" / "bench"
        write_workspace(bench / "bench.yaml", bench / "quiet.yaml", datasets)
        await apply_workspace(self._folder / "workspace", self._settings)
        with Measured(["bus", "worker"], self._settings, self._folder / "worker.log") as worker:
            await _until(lambda: worker.said(LANES_OWNED))
            trickle = Trickle(self._settings, datasets)
            running = asyncio.create_task(trickle.run())
            begun = time.monotonic()
            async with asyncio.timeout(WARM_SECONDS):
                await trickle.warm.wait()
            warm_up = time.monotonic() - begun
            trickle.measure()
            started, worker_cpu, broker_cpu = time.monotonic(), cpu_seconds(worker.pid), self._broker_cpu()
            await asyncio.sleep(seconds)
            took = time.monotonic() - started
            cores = ((cpu_seconds(worker.pid) - worker_cpu) / took, (self._broker_cpu() - broker_cpu) / took)
            trickle.stop()
            waits = await running
            peak = peak_megabytes(worker.pid)
        return Quiet(datasets, *cores, len(waits), *_percentiles(waits), peak, warm_up)

    async def dumps(self, rows: int, changes: int) -> Dumped:
        """A dump of so many rows, and another one in which so many of them are changed, through the `files` adapter."""
        dumps.write_workspace(self._folder / "workspace" / "bench" / "dumped.yaml")
        await apply_workspace(self._folder / "workspace", self._settings)
        self._dumped += 1
        landing = self._folder / f"dumps-{self._dumped}"
        landing.mkdir()
        config = landing.with_suffix(".json")
        dumps.write_configuration(config, landing)
        # Each run anew: what the one before has left in raw is deleted by its first dump.
        command = ["bus", "adapter", "run", dumps.ADAPTER, "--config", str(config), "--snapshot", "--accept-deletions"]
        with Measured(command, self._settings, self._folder / "adapter.log") as adapter:
            first = await self._published(adapter, dumps.drop(landing, 1, rows, 0))
            before = self._ends_of(dumps.DATASET)
            landed = dumps.drop(landing, 2, rows, changes)
            started = time.monotonic()
            await _until(lambda: adapter.said("") and self._ends_of(dumps.DATASET) > before)
            compared = time.monotonic() - started
            published = await self._published(adapter, landed)
            peak = peak_megabytes(adapter.pid)
        return Dumped(rows, changes, first, compared, published, peak)

    async def _published(self, adapter: Measured, dump: Path) -> float:
        """Seconds until a dump's changes are durable, and it is in `done/`, its number before its name."""
        started, done = time.monotonic(), dump.parent / "done"
        await _until(lambda: adapter.said("") and any(done.glob(f"*.{dump.name}")))
        return time.monotonic() - started

    def _ends_of(self, dataset: str) -> int:
        return sum(self._admin.record_counts([wire.raw_topic(dataset)]).values())

    async def _latency(
        self, name: str, topics: Iterable[str], writing: Coroutine[Any, Any, int], **settings: int
    ) -> Latency:
        reader = clients.consumer(self._settings.kafka, auto_offset_reset="latest", **settings)
        async with clients.started(reader, self._settings.kafka):
            places = []
            for topic in topics:
                numbers = await clients.partitions(reader, topic, self._settings.kafka)
                places += [clients.TopicPartition(topic, number) for number in numbers]
            clients.fetch_together(reader)
            reader.assign(places)
            await reader.seek_to_end(*places)
            waits = await _waits(reader, asyncio.create_task(writing))
        # The first fifth is warming up.
        waits = sorted(waits[len(waits) // 5 :])
        return Latency(name, len(waits), *_percentiles(waits))


def _percentiles(waits: list[float]) -> tuple[float, float]:
    """p50 and p99 of sorted seconds, milliseconds."""
    return 1000 * waits[len(waits) // 2], 1000 * waits[int(len(waits) * 0.99)]


async def _waits(reader: Any, writing: asyncio.Task[int]) -> list[float]:
    """Seconds from each record's `ce_time` to here, until nothing has come for 2 s after the writing's end.

    What runs before have left behind is passed over.
    """
    waits: list[float] = []
    begun, quiet_since = time.time(), time.monotonic()
    while not writing.done() or time.monotonic() - quiet_since < 2.0:
        for records in (await reader.getmany(timeout_ms=100)).values():
            now = time.time()
            written = [written_at(record) for record in records]
            waits += [now - moment for moment in written if moment >= begun]
            quiet_since = time.monotonic()
    writing.result()
    return waits


async def _until(condition: Callable[[], bool], *, within: float = DRAIN_SECONDS) -> None:
    deadline = time.monotonic() + within
    while not await asyncio.to_thread(condition):
        if time.monotonic() > deadline:
            raise TimeoutError
        await asyncio.sleep(0.05)
