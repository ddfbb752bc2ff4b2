"""The bench's results: ratios are taken turn by turn, and what is kept names no machine."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import re
import signal
from typing import TYPE_CHECKING

import pytest

from bus.bench.interruption import beside, until_interrupted
from bus.bench.latency import Latency, NothingArrivedError, percentiles
from bus.bench.ratios import ratios
from bus.bench.report import Results, print_results, spread
from bus.bench.run import NAMES, Wish
from bus.bench.throughput import BacklogTooSmallError, Throughput, see_that_enough_was_left
from bus.errors import BusError

if TYPE_CHECKING:
    from pathlib import Path

WISH = Wish(50_000, 2, 100.0, 2.0, 3, 12, 7, 2_000, 1_000)


def run(name: str, rate: int, cpu: float) -> Throughput:
    return Throughput(name, rate, 1.0, cpu, 1.0, 100.0)


def test_ratios_compare_runs_of_the_same_turn() -> None:
    runs = [run("raw aiokafka copy", 100, 2.0), run("normalise (light)", 50, 3.0)]
    runs += [run("raw aiokafka copy", 50, 4.0), run("normalise (light)", 100, 4.0)]

    (found,) = ratios(runs)

    assert (found.of, found.to) == ("normalise (light)", "raw aiokafka copy")
    assert (found.rate, found.worker_cpu) == ((0.5, 2.0), (1.5, 1.0))


def test_compiled_code_is_compared_with_the_reference_and_many_views_with_few() -> None:
    names = [
        *("normalise (light)", "normalise (light), reference", "normalise + 1 view"),
        *("normalise + 10 views, none matches", "normalise + 3,000 views, none matches"),
    ]

    found = {(ratio.of, ratio.to) for ratio in ratios([run(name, 1, 1.0) for name in names])}

    assert found == {
        ("normalise (light)", "normalise (light), reference"),
        ("normalise + 1 view", "normalise (light)"),
        ("normalise + 3,000 views, none matches", "normalise + 10 views, none matches"),
    }


def test_what_never_arrived_has_no_percentiles_but_a_reason() -> None:
    with pytest.raises(NothingArrivedError, match="no record came to its reader"):
        percentiles([])


def test_percentiles_are_in_milliseconds_and_in_order() -> None:
    assert percentiles([number / 1000 for number in range(1000)]) == (500.0, 990.0, 999.0)


def test_a_spread_of_one_value_is_that_value() -> None:
    assert spread([2.0]) == "2.0"
    assert spread([3.0, 1.0, 2.0]) == "1.0 / 2.0 / 3.0"


def test_what_is_kept_says_what_it_ran_on_and_not_whose_it_was(tmp_path: Path) -> None:
    results = Results.of_this_machine(WISH)
    results.throughput.append(run("normalise (light)", 100, 3.0))
    results.latency.append(Latency("normalise + 1 view", 100.0, 50, 1.0, 2.0, 3.0))

    file = results.save(tmp_path / "results")

    text = file.read_text("utf-8")
    kept = json.loads(text)
    assert kept["machine"].keys() >= {"cpu", "cores", "memory_gb", "kernel", "python", "aiokafka", "broker", "native"}
    assert kept["machine"]["cores"] == len(os.sched_getaffinity(0))
    assert kept["asked"]["records"] == 50_000
    assert kept["throughput"][0]["records_per_second"] == 100
    assert kept["latency"][0]["p999"] == 3.0
    assert not re.search(rf"\b{re.escape(platform.node())}\b", text)
    assert str(tmp_path) not in text


def test_a_group_stands_for_its_scenarios_and_nothing_for_everything() -> None:
    only = Wish(1, 1, 1.0, 2.0, 1, 11, 1, 1, 1, ("throughput", "quiet"))

    alone = ["codec", "copy", "by-hand", "light", "demo", "quiet"]
    assert [name for name in NAMES if only.takes(name)] == ["throughput", *alone]
    assert all(map(WISH.takes, NAMES))


def test_a_scenario_that_fails_is_told_and_the_others_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    results = Results.of_this_machine(WISH)
    with results.attempt("copy"):
        raise BusError("it is gone", fix="look")
    with results.attempt("light"):
        results.add(run("normalise (light)", 100, 3.0))

    print_results(results)

    out = capsys.readouterr().out
    assert "normalise (light)" in out
    assert "failed: copy: The bus could not do that: it is gone" in out
    assert results.as_json()["failed"] == results.failed
    assert [each.partition(":")[0] for each in results.failed] == ["copy"]


def test_a_fault_of_ours_is_no_failed_scenario() -> None:
    with pytest.raises(KeyError), Results.of_this_machine(WISH).attempt("copy"):
        raise KeyError


def test_what_was_measured_for_too_short_is_told_under_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    results = Results.of_this_machine(WISH)
    results.throughput += [
        Throughput("light", 50_000, 0.3, 1.0, 1.0, 100.0),
        Throughput("wide", 50_000, 4, 1.0, 1.0, 1),
    ]

    print_results(results)

    told = "measured for 0.3 s only: more --records give steadier figures (light)"
    assert told in capsys.readouterr().out


def test_a_backlog_of_which_most_was_through_before_measuring_began_is_too_small() -> None:
    see_that_enough_was_left("copy", 300, 1_000)
    with pytest.raises(BacklogTooSmallError, match="copy: 701 of 1,000 records are through at once") as refused:
        see_that_enough_was_left("copy", 299, 1_000)
    assert "--records" in refused.value.fix


async def test_an_interrupted_run_ends_what_is_beside_it() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def main() -> None:
        async with beside(work()):
            await asyncio.sleep(0)
            signal.raise_signal(signal.SIGTERM)
            await asyncio.Event().wait()

    assert await until_interrupted(main()) is signal.SIGTERM
    assert ended.is_set()
