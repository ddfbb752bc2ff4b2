"""`bus bench`: the pipeline beside a raw copy, measured in one run."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

import click

from bus.commands.options import FiniteRange

BACKLOG = (50_000, 100_000_000)
"""Least and most records: fewer are through before measuring begins."""


class Scenario(click.ParamType):
    """A scenario, or a group of them; which ones there are is looked up when one is named."""

    name = "scenario"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name, if it is one."""
        from bus.bench.run import NAMES

        return click.Choice(NAMES).convert(value, param, ctx)


def _writable(_: click.Context, __: click.Parameter, place: Path | None) -> Path | None:
    """The file or folder, once it is known that results can be written there: not after an hour of measuring.

    Raises:
        click.BadParameter: they cannot.
    """
    if place is None:
        return None
    try:
        with tempfile.TemporaryFile(dir=place if place.is_dir() else place.parent):
            pass
        if place.exists() and not os.access(place, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise click.BadParameter(f"{place} cannot be written: {error.strerror}.") from None
    return place


def _makeable(context: click.Context, option: click.Parameter, folder: Path | None) -> Path | None:
    """The same of a folder, which is made with those above it."""
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise click.BadParameter(f"{folder} cannot be made: {error.strerror}.") from None
    return _writable(context, option, folder)


@click.command(name="bench")
@click.option("--records", default=200_000, show_default=True, type=click.IntRange(*BACKLOG), help="Of each backlog.")
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(1), help="Runs of each scenario, in turn.")
@click.option("--rate", default=2000.0, show_default=True, type=FiniteRange(1), help="Events/s, for latency.")
@click.option("--seconds", default=15.0, show_default=True, type=FiniteRange(2), help="Length of a latency run.")
@click.option(
    "--only",
    multiple=True,
    type=Scenario(),
    help="Measure only that; may be given several times. Groups: throughput, shapes, views. Alone: codec, copy,"
    " by-hand, light, demo, rejects, wide, nested, texts, lz4, one-view, district-backlog, latency, district-latency,"
    " dumps, unmatched, quiet.",
)
@click.option(
    "--datasets", default=1000, show_default=True, type=click.IntRange(1), help="Quiet ones; 0.5 GB of topics."
)
@click.option(
    "--districts", default=100, show_default=True, type=click.IntRange(1), help="Each with a view; an event is for one."
)
@click.option(
    "--unmatched",
    default=1000,
    show_default=True,
    type=click.IntRange(11),
    help="Views of which none takes an event, compared with 10 such views. The design's case are 3000, which take"
    " minutes to make.",
)
@click.option("--rows", default=650_000, show_default=True, type=click.IntRange(1), help="Of either of two dumps.")
@click.option(
    "--changed", default=300_000, show_default=True, type=click.IntRange(1), help="Rows that the second has otherwise."
)
@click.option(
    "--json",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_writable,
    help="Write all runs to this file.",
)
@click.option(
    "--save",
    type=click.Path(file_okay=False, path_type=Path),
    callback=_makeable,
    help="Keep all runs in this folder, in a file named after the time; ours are in benchmarks/results.",
)
@click.option(
    "--profile",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_writable,
    help="Draw one more run of the first chosen backlog as a flame graph (SVG), with py-spy.",
)
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    callback=_makeable,
    help="Keep data and logs in this folder.",
)
def command(
    records: int,
    repeats: int,
    rate: float,
    seconds: float,
    only: tuple[str, ...],
    datasets: int,
    districts: int,
    unmatched: int,
    rows: int,
    changed: int,
    file: Path | None,
    save: Path | None,
    profile: Path | None,
    keep: Path | None,
) -> None:
    """Measure normalising and routing beside a raw aiokafka copy of the same records, on an embedded broker.

    Headers and CRC checks are on, compression is off, everything is exactly once; where it is otherwise the scenario's
    name says so. Scenarios run in turn, so that a drift of the machine's speed meets all of them; compare ratios, and
    CPU-seconds per million records, which depend least on what else the machine does. How to read it: docs/sizing.md.

    All of it, as by default, takes about half an hour on two cores; `--only light --only copy --repeats 1` a minute.
    Ctrl-C or SIGTERM ends it in order, and what was measured is told and kept. Ends with 1 if a scenario failed.
    """
    from bus.bench.flame import profiler
    from bus.bench.interruption import until_interrupted
    from bus.bench.report import Results, print_results
    from bus.bench.run import Wish, run
    from bus.config import check_codec

    check_codec()
    if profile is not None:
        profiler()
    wish = Wish(records, repeats, rate, seconds, districts, unmatched, datasets, rows, changed, only)
    results, stopped = Results.of_this_machine(wish), None
    try:
        with nullcontext(str(keep)) if keep else tempfile.TemporaryDirectory(prefix="shuniu-bench-") as folder:
            stopped = asyncio.run(until_interrupted(run(Path(folder), wish, results, profile)))
    finally:
        results.interrupted = stopped.name if stopped else ""
        print_results(results)
        if file is not None and not results.is_empty:
            results.write(file)
        if save is not None and not results.is_empty:
            results.save(save)
    sys.exit(128 + stopped if stopped else 1 if results.failed else 0)
