"""`bus bench`: each scenario, small, as a whole on an embedded broker."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from bus.pipeline import native

if TYPE_CHECKING:
    from pathlib import Path

SMALL = (
    *("--records", "30000", "--repeats", "1", "--rate", "100", "--seconds", "2", "--districts", "3"),
    *("--datasets", "7", "--rows", "2000", "--changed", "1000"),
)


def bench(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bus", "bench", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_every_scenario_comes_to_its_end_and_tells_its_figures(tmp_path: Path) -> None:
    file = tmp_path / "results.json"

    ran = bench(*SMALL, "--json", str(file))

    assert ran.returncode == 0, ran.stderr
    told = json.loads(file.read_text("utf-8"))
    assert [run["name"] for run in told["throughput"]] == [
        "raw aiokafka copy",
        "aiokafka + fastavro by hand",
        "normalise (light)",
        *(["normalise (light), reference"] if native.is_used() else []),
        "normalise (demo)",
        *(["normalise (demo), reference"] if native.is_used() else []),
    ]
    assert all(run["worker_cpu"] > 0 and run["records"] > 0 for run in told["throughput"])
    names = ["normalise + 1 view", "two bare hops", "normalise + 3 district views"]
    assert [run["name"] for run in told["latency"]] == names
    assert all(0 < run["p50"] <= run["p99"] and run["events"] > 50 for run in told["latency"])
    assert [(run["rows"], run["changes"]) for run in told["dumps"]] == [(2_000, 1_000)]
    assert [run["datasets"] for run in told["quiet"]] == [7]


def test_a_backlog_that_is_too_small_to_be_measured_is_told() -> None:
    ran = bench("--only", "throughput", "--records", "1000", "--repeats", "1")

    assert ran.returncode == 1
    assert "raw aiokafka copy: 1000 records are through at once" in ran.stderr
    assert "--records" in ran.stderr
    assert "Traceback" not in ran.stderr
