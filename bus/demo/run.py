"""The demo from start to proof."""

from __future__ import annotations

import asyncio
import secrets
import signal
import time
from collections import Counter
from dataclasses import asdict, dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Final

from rich.live import Live

from bus import wire
from bus.credentials import as_principal
from bus.demo.child import BusConsole, BusUp
from bus.demo.city import DATASETS, Departments
from bus.demo.observer import Observer
from bus.demo.proof import compare
from bus.demo.screen import NEWEST, Scene, draw
from bus.demo.subscriber import DemoSubscriber, percentile
from bus.demo.views import demo_views
from bus.pseudonym_keys import variable
from bus.testing.postgres import PostgresServer
from bus.testing.topics import read_topic

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from bus.config import Settings
    from bus.demo.proof import State
    from bus.testing.topics import TopicRecord

FRAMES: Final = 4
"""Frames a second on a terminal."""

SETTLE_SECONDS: Final = 30.0
"""How long the last changes may take before what is missing counts as missing."""

REST_SECONDS: Final = 1.0
"""Nothing new for so long: what was under way has come."""

OPERATIONS: Final = {"c": "created", "u": "changed", "d": "deleted"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asked for: seconds of writing, transactions a second, people at the start, seed."""

    seconds: float
    rate: float
    rows: int
    seed: int


class Demo:
    """One run.

    Args:
        wish: how long, how fast, how many.
        folder: for the broker's data and the log.
        console: where the screen is drawn.
    """

    def __init__(self, wish: Wish, folder: Path, console: Console) -> None:
        self._wish = wish
        self._folder = folder
        self._console = console
        self._stop = asyncio.Event()
        self._begun = time.monotonic()
        self._first = 0.0
        self._writing_since: float | None = None
        self._phase = "starting a PostgreSQL and a Kafka"

    async def run(self) -> dict[str, Any]:
        """Everything; the report.

        Raises:
            BusError: a part did not start, or ended.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop.set)
        secret = secrets.token_hex(32)
        with PostgresServer() as postgres:
            departments = Departments(postgres, self._folder, Random(self._wish.seed))  # noqa: S311  synthetic people
            await departments.open(self._wish.rows)
            environment = {variable("statistics"): secret}
            with BusUp(self._folder, *departments.adapters(), environment=environment) as up:
                settings = await up.ready()
                subscribers = [
                    DemoSubscriber(view, as_principal(settings, view.subscriber)) for view in demo_views(secret)
                ]
                with BusConsole(self._folder, settings) as page:
                    scene = Scene(Observer(settings, DATASETS), subscribers, await page.url())
                    self._console.print(f"the console, in a browser: {scene.url}", style="bold", soft_wrap=True)
                    return await self._with_bus(up, departments, scene, settings)

    async def _with_bus(self, up: BusUp, departments: Departments, scene: Scene, settings: Settings) -> dict[str, Any]:
        listening = (subscriber.listen() for subscriber in scene.subscribers)
        tasks = [asyncio.create_task(each) for each in (*listening, scene.observer.watch())]
        screen = asyncio.create_task(self._show(scene))
        try:
            self._phase = "reading everything whole"
            await self._until(lambda: scene.portal.received > 0, up, tasks)
            self._first = time.monotonic() - self._begun
            await asyncio.to_thread(departments.releases.drop)
            begin = await departments.expected(subscriber.view for subscriber in scene.subscribers)
            deadline = time.monotonic() + SETTLE_SECONDS
            await self._until(lambda: not _behind(scene, begin) or time.monotonic() > deadline, up, tasks)
            self._phase = "changing the registers"
            await self._write(departments, up, tasks)
            self._phase = "waiting for the last changes"
            await self._come_to_rest(scene, up, tasks)
            expected = await departments.expected(subscriber.view for subscriber in scene.subscribers)
            await self._settle(scene, departments, expected, up, tasks)
        finally:
            screen.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(screen, *tasks, return_exceptions=True)
        return await self._report(scene, departments, expected, settings)

    async def _until(self, condition: Any, up: BusUp, tasks: list[asyncio.Task[None]]) -> None:
        while not condition() and not self._stop.is_set():
            self._check(up, tasks)
            await asyncio.sleep(0.05)

    @staticmethod
    def _check(up: BusUp, tasks: list[asyncio.Task[None]]) -> None:
        up.check()
        for task in tasks:
            if task.done():
                task.result()

    async def _write(self, departments: Departments, up: BusUp, tasks: list[asyncio.Task[None]]) -> None:
        done = asyncio.Event()
        self._writing_since = time.monotonic()
        writing = asyncio.create_task(departments.work(self._wish.rate, self._wish.seconds, done))
        end = time.monotonic() + self._wish.seconds
        await self._until(lambda: time.monotonic() > end, up, [*tasks, writing])
        done.set()
        await writing

    async def _come_to_rest(self, scene: Scene, up: BusUp, tasks: list[asyncio.Task[None]]) -> None:
        """Wait until nothing new comes in.

        To work out what must have come takes this process a second, in which it would receive nothing, and the last
        changes would count as late.
        """
        received, since = -1, time.monotonic()
        deadline = since + SETTLE_SECONDS
        while time.monotonic() < min(since + REST_SECONDS, deadline):
            self._check(up, tasks)
            now = sum(each.received for each in scene.subscribers)
            if now != received:
                received, since = now, time.monotonic()
            await asyncio.sleep(0.05)

    async def _settle(
        self,
        scene: Scene,
        departments: Departments,
        expected: dict[str, State],
        up: BusUp,
        tasks: list[asyncio.Task[None]],
    ) -> None:
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline:
            self._check(up, tasks)
            if not _behind(scene, expected) and departments.refused_dumps() == departments.enterprises.refused:
                return
            await asyncio.sleep(0.25)

    async def _show(self, scene: Scene) -> None:
        if not self._console.is_terminal:
            while True:
                await asyncio.sleep(5)
                self._console.print(_line(scene, self._phase), soft_wrap=True)
        with Live(console=self._console, refresh_per_second=FRAMES, transient=True) as live:
            while True:
                elapsed = time.monotonic() - self._writing_since if self._writing_since else 0.0
                live.update(draw(scene, elapsed, self._wish.seconds, self._phase))
                await asyncio.sleep(1 / FRAMES)

    async def _report(
        self, scene: Scene, departments: Departments, expected: dict[str, State], settings: Settings
    ) -> dict[str, Any]:
        observer, portal = scene.observer, scene.portal
        views = {each.view.name: _told(each, expected[each.view.name]) for each in scene.subscribers}
        differences = departments.differences()
        published = {level: await _published(settings, f"minzheng.{level}") for level in differences}
        enterprises = departments.enterprises
        refused = departments.refused_dumps()
        proven = (
            all(view["proven"] for view in views.values())
            and published == differences
            and refused == enterprises.refused
        )
        return {
            "proven": proven,
            "register": {"rows": await departments.register.count(), "transactions": departments.register.changes},
            "dumps": {
                "enterprises": {"dropped": enterprises.dumps, "refused": refused, "to_be_refused": enterprises.refused},
                "divisions": {
                    level: {"expected": differences[level], "published": published[level]} for level in differences
                },
            },
            "sources": {
                dataset: {"changes": observer.raw[dataset], "rejected": observer.rejected[dataset]}
                for dataset in DATASETS
            },
            "views": views,
            "rejects": [
                {"dataset": dataset, "field": field, "reason": reason, "count": count}
                for (dataset, field, reason), count in observer.reasons.most_common()
            ],
            "latency_ms": {
                "p50": round(percentile(portal.latencies, 0.50) * 1000, 1),
                "p99": round(percentile(portal.latencies, 0.99) * 1000, 1),
                "samples": len(portal.latencies),
            },
            "seconds_to_first_event": round(self._first, 1),
            "seed": self._wish.seed,
        }


def _behind(scene: Scene, expected: dict[str, State]) -> bool:
    """Whether some subscriber has not what it must have."""
    return any(each.state != expected[each.view.name] for each in scene.subscribers)


def _told(subscriber: DemoSubscriber, expected: State) -> dict[str, Any]:
    verdict = compare(expected, subscriber.state)
    wrong = {name: getattr(subscriber, name) for name in ("leaked", "out_of_order", "doubled")}
    return {
        "proven": verdict.same and not any(wrong.values()),
        "subscriber": subscriber.view.subscriber,
        "events": subscriber.received,
        **asdict(verdict),
        **wrong,
    }


async def _published(settings: Settings, dataset: str) -> dict[str, int]:
    """What the dataset's newest dump came to on raw: created, changed, deleted."""
    records = await read_topic(settings, wire.raw_topic(dataset))
    newest = max(map(_dump, records))
    told = Counter(record.value["op"] for record in records if _dump(record) == newest and record.value)
    first = newest == min(map(_dump, records))  # a release that changed nothing was published as nothing
    return {name: 0 if first else told[op] for op, name in OPERATIONS.items()}


def _dump(record: TopicRecord) -> str:
    return record.event_id.split("/")[0]


def _line(scene: Scene, phase: str) -> str:
    observer, latencies = scene.observer, scene.portal.latencies[-NEWEST:]
    counts = f"{observer.raw.total():,} changes, {observer.rejected.total():,} rejected, {scene.received:,} delivered"
    if not latencies:
        return f"{phase}: {counts}"
    p50, p99 = (percentile(latencies, share) * 1000 for share in (0.5, 0.99))
    return f"{phase}: {counts}; p50 {p50:.0f} ms, p99 {p99:.0f} ms"
