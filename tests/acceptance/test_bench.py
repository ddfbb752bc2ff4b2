"""`bus bench`: each scenario, small, as a whole on an embedded broker; and the pipeline as cheap as it is promised."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bus.pipeline import native
from bus.testing.waiting import until

SMALL = (
    *("--records", "60000", "--repeats", "1", "--rate", "100", "--seconds", "2", "--districts", "3"),
    *("--unmatched", "12", "--datasets", "7", "--rows", "2000", "--changed", "1000"),
)

COPY, LIGHT, REFERENCE = "raw aiokafka copy", "normalise (light)", "normalise (light), reference"

DEAREST_OF_REFERENCE = 0.3
"""Of the reference's CPU that the compiled data path may take at most. Measured: 0.10 (docs/sizing.md)."""

DEAREST_OF_COPY = 1.2
"""Of the transactional copy's CPU that normalising may take at most. Measured: 0.35 (docs/sizing.md)."""


def bench(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bus", "bench", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)


@pytest.mark.timeout(600)
def test_every_scenario_comes_to_its_end_and_tells_its_figures(tmp_path: Path) -> None:
    ran = bench(*SMALL, "--save", str(tmp_path))

    assert ran.returncode == 0, ran.stderr
    (file,) = tmp_path.glob("*.json")
    told = json.loads(file.read_text("utf-8"))
    assert [run["name"] for run in told["throughput"]] == [
        "raw aiokafka copy, at least once",
        COPY,
        "aiokafka + fastavro by hand",
        LIGHT,
        *([REFERENCE] if native.is_used() else []),
        "normalise (demo)",
        *(["normalise (demo), reference"] if native.is_used() else []),
        "normalise, 5% rejects",
        "normalise, 120 fields",
        "normalise, nested rows",
        "normalise, numbers and times in texts",
        "normalise, lz4 in and out",
        "normalise + 1 view",
        "normalise + 3 district views",
        "normalise + 10 views, none matches",
        "normalise + 12 views, none matches",
    ]
    assert all(run["worker_cpu"] > 0 and run["broker_cpu"] > 0 for run in told["throughput"])
    assert all(run["records"] > 0 and run["peak_mb"] > 10 for run in told["throughput"])
    compared = ["codec (light)", "codec (demo)"] if native.is_used() else []
    assert [run["name"] for run in told["codec"]] == compared
    assert all(run["ratio"] > 3 for run in told["codec"]), "measured: 20 to 23 (docs/sizing.md)"
    names = ["normalise + 1 view", "normalise + 3 district views", "two bare hops"]
    assert [run["name"] for run in told["latency"]] == names
    assert all(0 < run["p50"] <= run["p99"] <= run["p999"] and run["events"] > 50 for run in told["latency"])
    assert [(run["rows"], run["changes"]) for run in told["dumps"]] == [(2_000, 1_000)]
    assert [run["datasets"] for run in told["quiet"]] == [7]


def started(folder: Path, *options: str) -> subprocess.Popen[str]:
    """A bench that would take long; its folder for what is temporary is given."""
    command = [
        sys.executable,
        "-m",
        "bus",
        "bench",
        "--only",
        "copy",
        "--records",
        "50000",
        "--repeats",
        "90",
        *options,
    ]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(folder)}
    )


def first_told(running: subprocess.Popen[str]) -> str:
    assert running.stderr is not None
    return next(line for line in running.stderr if "records/s" in line)


def processes_of(folder: Path) -> list[int]:
    """Those of a bench: they have its folder for what is temporary."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"TMPDIR={folder}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_bench_tells_what_it_has_and_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    folder, file = tmp_path / "temporary", tmp_path / "results.json"
    folder.mkdir()
    running = started(folder, "--json", str(file))
    first_told(running)

    running.send_signal(number)
    out, err = running.communicate(timeout=60)

    assert running.returncode == 128 + number
    assert "raw aiokafka copy, at least once" in out
    assert f"interrupted by {number.name}" in out
    told = json.loads(file.read_text("utf-8"))
    assert (len(told["throughput"]) > 0, told["interrupted"]) == (True, number.name)
    assert (processes_of(folder), list(folder.iterdir())) == ([], [])
    assert "Traceback" not in err


async def test_nothing_runs_on_when_a_bench_is_killed(tmp_path: Path) -> None:
    running = started(tmp_path)
    first_told(running)

    running.kill()
    running.communicate()

    await until(lambda: not processes_of(tmp_path), within=40, what="the end of what it has started")


@pytest.mark.parametrize("option", ["--json", "--save", "--profile"])
def test_results_that_cannot_be_kept_are_refused_before_anything_is_measured(tmp_path: Path, option: str) -> None:
    (tmp_path / "file").touch()
    ran = bench("--only", "copy", option, str(tmp_path / "file" / "results"))
    assert ran.returncode == 2
    assert f"'{option}'" in ran.stderr
    assert "Not a directory" in ran.stderr


@pytest.mark.parametrize("records", ["1000", "1000000000000"])
def test_a_backlog_that_cannot_be_measured_is_wrong_use(records: str) -> None:
    ran = bench("--only", "copy", "--records", records)
    assert ran.returncode == 2
    assert "50000<=x<=100000000" in ran.stderr


def test_a_scenario_that_does_not_exist_is_wrong_use() -> None:
    ran = bench("--only", "nothing")

    assert ran.returncode == 2
    assert "unmatched" in ran.stderr


def test_a_flame_graph_is_drawn_of_a_worker_at_work(tmp_path: Path) -> None:
    graph = tmp_path / "worker.svg"

    ran = bench("--only", "copy", "--records", "50000", "--repeats", "1", "--profile", str(graph))

    if "SYS_PTRACE" in ran.stderr:
        pytest.skip("this system lets no process look at another")
    assert ran.returncode == 0, ran.stderr
    drawn = graph.read_text("utf-8")
    assert "<svg" in drawn
    assert "bus/pipeline/loop.py" in drawn


def cheapest(told: dict[str, Any], name: str) -> float:
    """The least CPU of a scenario's runs: what else the machine does can only make one dearer."""
    return min(float(run["worker_cpu"]) for run in told["throughput"] if run["name"] == name)


@pytest.mark.skipif(
    not native.is_used(), reason="the data path is not compiled here, or BUS_CODEC=reference leaves it out"
)
@pytest.mark.timeout(600)
def test_the_data_path_is_not_dearer_than_it_was(tmp_path: Path) -> None:
    """A ratio of CPU-seconds of one run, scenario after scenario in turn, the cheapest of each: a floor with a wide
    margin, which a slow or busy machine keeps and a lost optimisation does not."""
    file = tmp_path / "results.json"

    ran = bench("--only", "copy", "--only", "light", "--records", "150000", "--repeats", "2", "--json", str(file))

    assert ran.returncode == 0, ran.stderr
    told = json.loads(file.read_text("utf-8"))
    light = cheapest(told, LIGHT)
    assert light <= DEAREST_OF_REFERENCE * cheapest(told, REFERENCE), ran.stdout
    assert light <= DEAREST_OF_COPY * cheapest(told, COPY), ran.stdout
