"""`bus bench`: the pipeline beside a raw copy, measured in one run."""

from __future__ import annotations

import asyncio
import json
import tempfile
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bus.commands.options import FiniteRange

if TYPE_CHECKING:
    from bus.bench.report import Results
    from bus.bench.scenario import Bench
    from bus.config import Settings


@click.command(name="bench")
@click.option("--records", default=200_000, show_default=True, type=click.IntRange(1000), help="Of each backlog.")
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(1), help="Runs of each scenario, in turn.")
@click.option("--rate", default=2000.0, show_default=True, type=FiniteRange(1), help="Events/s, for latency.")
@click.option("--seconds", default=15.0, show_default=True, type=FiniteRange(2), help="Length of a latency run.")
@click.option(
    "--only", type=click.Choice(["throughput", "latency", "views", "dumps", "quiet"]), help="Measure only that."
)
@click.option(
    "--datasets", default=1000, show_default=True, type=click.IntRange(1), help="Quiet ones; 0.5 GB of topics."
)
@click.option(
    "--districts", default=100, show_default=True, type=click.IntRange(1), help="Each with a view; an event is for one."
)
@click.option("--rows", default=650_000, show_default=True, type=click.IntRange(1), help="Of either of two dumps.")
@click.option(
    "--changed", default=300_000, show_default=True, type=click.IntRange(1), help="Rows that the second has otherwise."
)
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write all runs to this file.")
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="Keep data and logs in this folder.")
def command(
    records: int,
    repeats: int,
    rate: float,
    seconds: float,
    only: str | None,
    datasets: int,
    districts: int,
    rows: int,
    changed: int,
    file: Path | None,
    keep: Path | None,
) -> None:
    """Measure normalising against a raw aiokafka copy of the same topic, on an embedded broker.

    Headers and CRC checks are on, compression is off, everything is exactly once. Scenarios run in turn, so that a
    drift of the machine's speed meets all of them; compare ratios, and CPU-seconds per million records, which depend
    least on what else the machine does.
    """
    from bus.bench.report import print_results

    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
    with nullcontext(str(keep)) if keep else tempfile.TemporaryDirectory(prefix="shuniu-bench-") as folder:
        results = _run(Path(folder), Wish(records, repeats, rate, seconds, districts, datasets, rows, changed, only))
    if file is not None:
        file.write_text(json.dumps(results.as_json(), indent=2) + "\n", encoding="utf-8")
    print_results(results)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be measured."""

    records: int
    repeats: int
    rate: float
    seconds: float
    districts: int
    datasets: int
    rows: int
    changed: int
    only: str | None

    def takes(self, part: str) -> bool:
        """Whether a part is to be measured."""
        return self.only in (None, part)


def _run(folder: Path, wish: Wish) -> Results:
    from bus.config import Settings
    from bus.kafka.embedded import EmbeddedKafka

    with EmbeddedKafka(folder / "kafka") as broker:
        settings = Settings.load({}, bootstrap=broker.bootstrap, bus_id="bench")
        return asyncio.run(_measure(settings, broker.pid, folder, wish))


async def _measure(settings: Settings, broker_pid: int, folder: Path, wish: Wish) -> Results:
    from bus.bench.report import Results
    from bus.bench.scenario import Bench
    from bus.registry.server import RegistryServer

    results = Results.of_this_machine(wish.records)
    async with RegistryServer(settings) as registry:
        bench = Bench(settings.model_copy(update={"registry_url": registry.url}), broker_pid, folder)
        for _ in range(wish.repeats if wish.takes("latency") or wish.takes("views") else 0):
            await _measure_latency(bench, results, wish)
        await bench.apply(view=False)
        for _ in range(wish.repeats):
            await _measure_throughput(bench, results, wish)
        for _ in range(wish.repeats if wish.takes("quiet") else 0):  # last: its topics would slow the others down
            results.add(await bench.quiet(wish.datasets, wish.seconds))
    return results


async def _measure_latency(bench: Bench, results: Results, wish: Wish) -> None:
    await bench.apply(view=True)
    if wish.takes("latency"):
        results.add(await bench.pipeline_latency(wish.rate, wish.seconds))
        results.add(await bench.bare_latency(wish.rate, wish.seconds))
    if wish.takes("views"):
        results.add(await bench.district_latency(wish.districts, wish.rate, wish.seconds))


async def _measure_throughput(bench: Bench, results: Results, wish: Wish) -> None:
    from bus.pipeline import native

    if wish.takes("throughput"):
        results.add(await bench.copy(wish.records))
        results.add(await bench.by_hand(wish.records))
        for name in ("light", "demo"):
            results.add(await bench.normalise(name, wish.records))
            if native.is_used():
                results.add(await bench.normalise(name, wish.records, reference=True))
    if wish.takes("dumps"):
        results.add(await bench.dumps(wish.rows, min(wish.changed, wish.rows)))
