"""The whole bench: what was asked for, on a broker of its own for each part that would slow the others down."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bus.bench import flows
from bus.bench.codec import codec
from bus.bench.copies import make_workspace
from bus.bench.scenario import COPIES, REFERENCE, Bench
from bus.catalogue.workspace import Workspace
from bus.config import Settings
from bus.kafka.embedded import EmbeddedKafka
from bus.pipeline import native
from bus.registry.server import RegistryServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from bus.bench.flows import Flow
    from bus.bench.report import Results

GROUPS: Final = {
    "throughput": ("codec", "copy", "by-hand", "light", "demo"),
    "shapes": ("rejects", "wide", "nested", "texts", "lz4"),
    "views": ("district-backlog", "district-latency"),
}
"""Names for several scenarios at once."""

ALONE: Final = (
    *("codec", "copy", "by-hand", "light", "demo", "rejects", "wide", "nested", "texts", "lz4", "one-view"),
    *("district-backlog", "latency", "district-latency", "dumps", "unmatched", "quiet"),
)
NAMES: Final = (*GROUPS, *ALONE)
SHAPES: Final[dict[str, Callable[[], Flow]]] = {
    "light": flows.light,
    "demo": flows.demo,
    "rejects": flows.rejects,
    "wide": flows.wide,
    "nested": flows.nested,
    "texts": flows.texts,
    "lz4": flows.lz4,
    "one-view": flows.one_view,
}
BESIDE_REFERENCE: Final = ("light", "demo")


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be measured.

    Attributes:
        records: of each backlog.
        repeats: runs of each scenario, in turn.
        rate: events a second, for latency.
        seconds: length of a run at a steady rate.
        districts: views of which one takes each record.
        unmatched: views of which none takes any.
        datasets: quiet ones.
        rows, changed: of either of two dumps; of those, the rows that the second has otherwise.
        only: names of scenarios and groups; none for everything.
    """

    records: int
    repeats: int
    rate: float
    seconds: float
    districts: int
    unmatched: int
    datasets: int
    rows: int
    changed: int
    only: tuple[str, ...] = ()

    def takes(self, scenario: str) -> bool:
        """Whether a scenario is to be measured."""
        return not self.only or any(scenario == name or scenario in GROUPS.get(name, ()) for name in self.only)

    def chosen(self) -> list[Flow]:
        """The flows of which backlogs are to be measured, on the first broker."""
        found = [make() for name, make in SHAPES.items() if self.takes(name)]
        return [*found, flows.district_views(self.districts)] if self.takes("district-backlog") else found


async def run(folder: Path, wish: Wish, results: Results, profile: Path | None = None) -> None:
    """Measure into the results; with a flame graph of the first chosen flow, if a file for it is named.

    A scenario that fails is told there, and the others go on.
    """
    if wish.takes("codec") and native.is_used():
        with results.attempt("codec"):
            await _codec(folder / "codec", results, wish)
    if any(map(wish.takes, ALONE[1 : ALONE.index("unmatched")])) or profile is not None:
        async with _bench(folder / "first") as bench:
            await _first(bench, results, wish)
            if profile is not None:
                await bench.profile(next(iter(wish.chosen()), flows.light()), wish.records, profile)
    if wish.takes("unmatched"):
        async with _bench(folder / "unmatched") as bench:
            await _unmatched(bench, results, wish)
    if wish.takes("quiet"):
        async with _bench(folder / "quiet") as bench:
            for _ in range(wish.repeats):
                with results.attempt("quiet"):
                    results.add(await bench.quiet(wish.datasets, wish.seconds))


async def _codec(folder: Path, results: Results, wish: Wish) -> None:
    make_workspace(folder)
    workspace = Workspace.load(folder)
    for _ in range(wish.repeats):
        for name in BESIDE_REFERENCE:
            results.add(codec(SHAPES[name](), workspace, wish.records))
            await asyncio.sleep(0)  # where it can be interrupted


@asynccontextmanager
async def _bench(folder: Path) -> AsyncIterator[Bench]:
    with EmbeddedKafka(folder / "kafka") as broker:
        settings = Settings.load({}, bootstrap=broker.bootstrap, bus_id="bench")
        async with RegistryServer(settings) as registry:
            yield Bench(settings.model_copy(update={"registry_url": registry.url}), broker.pid, folder)


async def _first(bench: Bench, results: Results, wish: Wish) -> None:
    steady = [flows.one_view()] if wish.takes("latency") else []
    steady += [flows.district_views(wish.districts)] if wish.takes("district-latency") else []
    await bench.prepare({flow.dataset: flow for flow in (*wish.chosen(), *steady)}.values())
    for _ in range(wish.repeats):
        await _backlogs(bench, results, wish)
        for flow in steady:
            with results.attempt(f"{flow.title}, at a steady rate"):
                results.add(await bench.latency(flow, wish.rate, wish.seconds))
        if wish.takes("latency"):
            with results.attempt("two bare hops"):
                results.add(await bench.bare_latency(wish.rate, wish.seconds))
        if wish.takes("dumps"):
            with results.attempt("dumps"):
                results.add(await bench.dumps(wish.rows, min(wish.changed, wish.rows)))


async def _backlogs(bench: Bench, results: Results, wish: Wish) -> None:
    kinds = {"plain": "copy", "transactional": "copy", "by-hand": "by-hand"}
    for kind in (kind for kind in COPIES if wish.takes(kinds[kind])):
        with results.attempt(COPIES[kind]):
            results.add(await bench.copy(kind, wish.records))
    compared = {SHAPES[name]().dataset for name in BESIDE_REFERENCE} if native.is_used() else set()
    for flow in wish.chosen():
        with results.attempt(flow.title):
            results.add(await bench.normalise(flow, wish.records))
        if flow.dataset in compared:
            with results.attempt(flow.title + REFERENCE):
                results.add(await bench.normalise(flow, wish.records, reference=True))


async def _unmatched(bench: Bench, results: Results, wish: Wish) -> None:
    pair = [flows.unmatched_views(count) for count in (flows.FEW_VIEWS, wish.unmatched)]
    await bench.prepare(pair)
    for _ in range(wish.repeats):
        for flow in pair:
            with results.attempt(flow.title):
                results.add(await bench.normalise(flow, wish.records))
