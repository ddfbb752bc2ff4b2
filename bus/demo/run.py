"""The demo from start to proof."""

from __future__ import annotations

import asyncio
import csv
import signal
import time
from dataclasses import asdict, dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Final

from rich.live import Live

from bus.catalogue.workspace import default_workspace
from bus.credentials import as_principal
from bus.demo.child import BusUp
from bus.demo.observer import Observer
from bus.demo.portal import Portal, percentile
from bus.demo.proof import Verdict, compare, expected_state
from bus.demo.register import Register
from bus.demo.screen import Scene, draw
from bus.testing.postgres import PostgresServer

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

FRAMES: Final = 4
"""Frames a second on a terminal."""

SUBSCRIBER: Final = "portal"
"""The portal's login: it reads its own view, and nothing else."""

SETTLE_SECONDS: Final = 30.0
"""How long the last changes may take before what is missing counts as missing."""


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
        with PostgresServer() as postgres:
            register = Register(postgres.parameters(), Random(self._wish.seed))  # noqa: S311  synthetic people
            ddl = (default_workspace() / "gongan" / "population.sql").read_text(encoding="utf-8")
            await register.create(ddl, self._wish.rows)
            config = self._folder / "gongan.yaml"
            config.write_text(f"host: 127.0.0.1\nport: {postgres.port}\ndatabase: postgres\nuser: postgres\n")
            with BusUp(self._folder, "--adapter", f"gongan={config}") as up:
                return await self._with_bus(up, register)

    async def _with_bus(self, up: BusUp, register: Register) -> dict[str, Any]:
        settings = await up.ready()
        scene = Scene(register, Observer(settings), Portal(as_principal(settings, SUBSCRIBER)))
        tasks = [asyncio.create_task(scene.portal.listen()), asyncio.create_task(scene.observer.watch())]
        screen = asyncio.create_task(self._show(scene))
        try:
            self._phase = "reading the register whole"
            await self._until(lambda: scene.portal.received > 0, up, tasks)
            self._first = time.monotonic() - self._begun
            self._phase = "changing the register"
            await self._write(register, up, tasks)
            self._phase = "waiting for the last changes"
            verdict = await self._settle(scene, up, tasks)
        finally:
            screen.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(screen, *tasks, return_exceptions=True)
        return await self._report(scene, verdict)

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

    async def _write(self, register: Register, up: BusUp, tasks: list[asyncio.Task[None]]) -> None:
        done = asyncio.Event()
        self._writing_since = time.monotonic()
        writing = asyncio.create_task(register.work(self._wish.rate, done))
        end = time.monotonic() + self._wish.seconds
        await self._until(lambda: time.monotonic() > end, up, [*tasks, writing])
        done.set()
        await writing

    async def _settle(self, scene: Scene, up: BusUp, tasks: list[asyncio.Task[None]]) -> Verdict:
        expected = expected_state(await scene.register.journal(), _divisions())
        deadline = time.monotonic() + SETTLE_SECONDS
        while not (verdict := compare(expected, scene.portal.people)).same and time.monotonic() < deadline:
            self._check(up, tasks)
            await asyncio.sleep(0.25)
        return verdict

    async def _show(self, scene: Scene) -> None:
        if not self._console.is_terminal:
            while True:
                await asyncio.sleep(5)
                self._console.print(_line(scene, self._phase))
        with Live(console=self._console, refresh_per_second=FRAMES, transient=True) as live:
            while True:
                elapsed = time.monotonic() - self._writing_since if self._writing_since else 0.0
                live.update(draw(scene, elapsed, self._wish.seconds, self._phase))
                await asyncio.sleep(1 / FRAMES)

    async def _report(self, scene: Scene, verdict: Verdict) -> dict[str, Any]:
        portal, observer = scene.portal, scene.observer
        proven = verdict.same and not (portal.leaked or portal.out_of_order or portal.doubled)
        return {
            "proven": proven,
            "register": {"rows": await scene.register.count(), "transactions": scene.register.changes},
            "events": {**observer.counts, "portal": portal.received},
            "rejects": [{"field": f, "reason": r, "count": c} for (f, r), c in observer.rejects.most_common()],
            "portal": {
                **asdict(verdict),
                "leaked": portal.leaked,
                "out_of_order": portal.out_of_order,
                "doubled": portal.doubled,
            },
            "latency_ms": {
                "p50": round(percentile(portal.latencies, 0.50) * 1000, 1),
                "p99": round(percentile(portal.latencies, 0.99) * 1000, 1),
                "samples": len(portal.latencies),
            },
            "seconds_to_first_event": round(self._first, 1),
            "seed": self._wish.seed,
        }


def _divisions() -> frozenset[str]:
    """The valid division codes, straight from the code list's file."""
    file = next((default_workspace() / "codelists").glob("divisions-*.csv"))
    with file.open(encoding="utf-8", newline="") as opened:
        return frozenset(row["code"] for row in csv.DictReader(opened))


def _line(scene: Scene, phase: str) -> str:
    counts, portal = scene.observer.counts, scene.portal
    return (
        f"{phase}: raw {counts['raw']:,}, shared {counts['shared']:,}, portal {portal.received:,}, rejected"
        f" {counts['rejected']:,}; p50 {percentile(portal.latencies[-5000:], 0.5) * 1000:.0f} ms,"
        f" p99 {percentile(portal.latencies[-5000:], 0.99) * 1000:.0f} ms"
    )
