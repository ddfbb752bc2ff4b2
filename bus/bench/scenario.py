"""The measurements, one after the other on one cluster."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from bus import wire
from bus.bench import copies, dumps, quiet
from bus.bench.dumps import Dumped
from bus.bench.events import POOL
from bus.bench.fill import PARTITIONS, Filler
from bus.bench.flame import recorded
from bus.bench.flows import light
from bus.bench.interruption import beside
from bus.bench.latency import READ_SELDOM, Latency, arrivals, percentiles
from bus.bench.processes import Measured, cpu_seconds, peak_megabytes
from bus.bench.quiet import WARM_SECONDS, Quiet, Trickle
from bus.bench.throughput import Throughput, drained
from bus.bench.watch import until, watching
from bus.catalogue.apply import apply_workspace
from bus.catalogue.topics import NORMALISE_GROUP, ROUTE_GROUP
from bus.kafka.admin import Admin, NewTopic
from bus.pipeline import native

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from bus.bench.copies import Resource
    from bus.bench.flows import Flow
    from bus.config import Settings

LANES_OWNED: Final = "lanes owned"
READY: Final = "ready"
WORKER: Final = ("bus", "worker")
COPIES: Final = {
    "plain": "raw aiokafka copy, at least once",
    "transactional": "raw aiokafka copy",
    "by-hand": "aiokafka + fastavro by hand",
}
REFERENCE: Final = ", reference"
COPIED: Final = "bench.copied"
HOPS: Final = ("bench.hop.0", "bench.hop.1", "bench.hop.2")
AT_REST: Final = 0.15
"""Of a core: a worker that takes less has nothing to do."""


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
        self._fillers: dict[str, Filler] = {}
        self._is_copied_filled = False
        self._dumped = 0

    async def prepare(self, flows: Iterable[Flow]) -> None:
        """Make the topics of what will be measured, and fill its views, so that nobody measures that."""
        flows = list(flows)
        await self._apply("flows", [resource for flow in flows for resource in flow.resources])
        if viewed := [flow for flow in flows if flow.views]:
            for flow in viewed:
                await self._filler(flow).fill(POOL)
            with self._measured(WORKER) as worker:
                for flow in viewed:
                    await self._through(flow)
                await until(lambda: _is_at_rest(worker))

    async def _apply(self, name: str, resources: Iterable[Resource]) -> None:
        """Apply the bench's workspace and these."""
        workspace = self._folder / "workspace"
        if not workspace.exists():
            copies.make_workspace(workspace)
        copies.write(resources, workspace / "bench" / f"{name}.yaml")
        await apply_workspace(workspace, self._settings)

    def _measured(self, command: Iterable[str], variables: Mapping[str, str] | None = None) -> Measured:
        return Measured(list(command), self._settings, self._folder / "worker.log", variables)

    def _filler(self, flow: Flow) -> Filler:
        return self._fillers.setdefault(flow.dataset, Filler(self._settings, flow))

    async def normalise(self, flow: Flow, records: int, *, reference: bool = False) -> Throughput:
        """A worker through a backlog, to the end of its views where it has any; if asked, by the reference alone."""
        await self._filler(flow).fill(records)
        variables = {"KAFKA_COMPRESSION": flow.compression} | (native.BY_REFERENCE if reference else {})
        name = flow.title + REFERENCE if reference else flow.title
        source = wire.raw_topic(flow.dataset)
        async with watching(self._settings, NORMALISE_GROUP, source) as watch:
            with self._measured(WORKER, variables) as worker:
                return await drained(name, worker, watch, self._broker_cpu, lambda: self._through(flow))

    async def _through(self, flow: Flow) -> None:
        """Wait until all of a flow's raw records are in its views."""
        stages = [(NORMALISE_GROUP, wire.raw_topic(flow.dataset)), (ROUTE_GROUP, flow.shared)]
        await self._past(stages if flow.views else stages[:1])

    async def _past(self, stages: Iterable[tuple[str, str]]) -> None:
        """Wait until each group has come to the end of its topic, one after the other."""
        for group, topic in stages:
            async with watching(self._settings, group, topic) as watch:
                await watch.until_through()

    async def copy(self, kind: str, records: int) -> Throughput:
        """A yardstick (of COPIES) through the changes of the light mapping, in a topic that no worker reads."""
        target, group = f"bench.copy.{kind}", f"bench-{kind}"
        self._admin.create_topics([NewTopic(topic, PARTITIONS, {}) for topic in (COPIED, target)])
        if not self._is_copied_filled:
            await Filler(self._settings, light(), COPIED).fill(records)
            self._is_copied_filled = True
        self._admin.set_committed(group, {(COPIED, number): 0 for number in range(PARTITIONS)})
        async with watching(self._settings, group, COPIED) as watch:
            with self._measured(["bus.bench.copy", kind, COPIED, target, group]) as process:
                return await drained(COPIES[kind], process, watch, self._broker_cpu, _nothing)

    async def profile(self, flow: Flow, records: int, target: Path) -> None:
        """Draw a worker on its way through a backlog, as a flame graph; what that costs it is not measured."""
        with self._measured(WORKER) as worker:
            await until(lambda: _say(LANES_OWNED, worker))
            with recorded(worker.pid, target):
                await self._filler(flow).fill(records)
                await self._through(flow)

    def _broker_cpu(self) -> float:
        return cpu_seconds(self._broker_pid) if self._broker_pid else float("nan")

    async def latency(self, flow: Flow, rate: float, seconds: float) -> Latency:
        """Raw → shared → views at a steady rate, through one worker."""
        reading = READ_SELDOM if len(flow.views) > 1 else {}
        with self._measured(WORKER) as worker:
            await until(lambda: _say(LANES_OWNED, worker))
            writing = self._filler(flow).trickle(rate, seconds)
            waits = await arrivals(self._settings, flow.views, writing, lambda: self._through(flow), **reading)
        return Latency(flow.title, rate, len(waits), *percentiles(waits))

    async def bare_latency(self, rate: float, seconds: float) -> Latency:
        """As far by two transactional copies, from a topic to the next and on: two bare transactional hops."""
        self._admin.create_topics([NewTopic(topic, PARTITIONS, {}) for topic in HOPS])
        hops = [(source, target, f"{target}-group") for source, target in pairwise(HOPS)]
        stages = [(group, source) for source, _, group in hops]
        one, two = (["bus.bench.copy", "transactional", *hop] for hop in hops)
        with self._measured(one) as first, self._measured(two) as second:
            await until(lambda: _say(READY, first, second))
            writing = Filler(self._settings, light(), HOPS[0]).trickle(rate, seconds)
            waits = await arrivals(self._settings, HOPS[-1:], writing, lambda: self._past(stages))
        return Latency("two bare hops", rate, len(waits), *percentiles(waits))

    async def quiet(self, datasets: int, seconds: float) -> Quiet:
        """So many datasets, an event a second each, through one worker; measured once each has come through."""
        await self._apply("quiet", quiet.resources(datasets))
        with self._measured(WORKER) as worker:
            await until(lambda: _say(LANES_OWNED, worker))
            trickle = Trickle(self._settings, datasets)
            async with beside(trickle.run()) as running:
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
        return Quiet(datasets, *cores, len(waits), *percentiles(waits), peak, warm_up)

    async def dumps(self, rows: int, changes: int) -> Dumped:
        """A dump of so many rows, and another one in which so many of them are changed, through the `files` adapter."""
        await self._apply("dumped", [dumps.resource()])
        self._dumped += 1
        landing = self._folder / f"dumps-{self._dumped}"
        landing.mkdir()
        config = landing.with_suffix(".json")
        dumps.write_configuration(config, landing)
        # Each run anew: what the one before has left in raw is deleted by its first dump.
        command = ["bus", "adapter", "run", dumps.ADAPTER, "--config", str(config), "--snapshot", "--accept-deletions"]
        with Measured(command, self._settings, self._folder / "adapter.log") as adapter:
            first = await _published(adapter, dumps.drop(landing, 1, rows, 0))
            before = self._ends_of(dumps.DATASET)
            landed = dumps.drop(landing, 2, rows, changes)
            started = time.monotonic()
            await until(lambda: self._is_longer(adapter, before))
            compared = time.monotonic() - started
            published = await _published(adapter, landed)
            peak = peak_megabytes(adapter.pid)
        return Dumped(rows, changes, first, compared, published, peak)

    async def _is_longer(self, adapter: Measured, before: int) -> bool:
        return adapter.lives() and await asyncio.to_thread(self._ends_of, dumps.DATASET) > before

    def _ends_of(self, dataset: str) -> int:
        return sum(self._admin.record_counts([wire.raw_topic(dataset)]).values())


async def _published(adapter: Measured, dump: Path) -> float:
    """Seconds until a dump's changes are durable, and it is in `done/`, its number before its name."""
    started, done = time.monotonic(), dump.parent / "done"

    async def is_done() -> bool:
        return adapter.lives() and any(done.glob(f"*.{dump.name}"))

    await until(is_done)
    return time.monotonic() - started


async def _nothing() -> None:
    pass


async def _say(text: str, *processes: Measured) -> bool:
    return all(process.said(text) for process in processes)


async def _is_at_rest(worker: Measured) -> bool:
    """Whether it takes next to no CPU, for a second."""
    before = cpu_seconds(worker.pid)
    await asyncio.sleep(1.0)
    return worker.lives() and cpu_seconds(worker.pid) - before < AT_REST
