"""`bus demo` from the outside: what it proves, what a Ctrl-C and a `kill -9` leave."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bus.testing.waiting import until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    Start = Callable[..., subprocess.Popen[str]]

RULES = {
    ("id_number", "is no citizen id number (GB 11643): form, birth date or check digit"),
    ("full_name", "has no value"),
    ("sex", "is not in the code list sex or its map"),
    ("sex", "is not the sex that id_number tells"),
    ("birth_date", "has no value"),
    ("birth_date", "is no date in any of the forms YYYYMMDD, YYYY-MM-DD, YYYY/M/D, YYYY.M.D, YYYY年M月D日"),
    ("birth_date", "is not the birth date inside id_number"),
    ("ethnicity", "is not in the code list ethnicity"),
    ("phone", "has not the form it must"),
    ("division_code", "has no value"),
    ("division_code", "is not in the code list divisions"),
}
"""Every way in which the demo's people can be dirty; with 2,000 of them at the start, each of these is there."""


def changes_begin(process: subprocess.Popen[str]) -> None:
    """Wait until the demo says that the registers change."""
    assert process.stdout
    told = process.stdout
    asyncio.run(until(lambda: "changing the registers" in told.readline(), within=60))


def descendants(pid: int) -> list[int]:
    """The processes below one."""
    parents: dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[int(status.parent.name)] = int(fields[1])
    found, below = [], [pid]
    while below:
        below = [child for child, parent in parents.items() if parent in below]
        found += below
    return found


def words(pid: int) -> list[str]:
    """A process's command line; nothing once it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


VIEWS = {
    "portal-person": "portal",
    "portal-enterprise": "portal",
    "gusu-person": "gusu",
    "gusu-enterprise": "gusu",
    "statistics-person": "statistics",
    "statistics-enterprise": "statistics",
    "statistics-province": "statistics",
    "statistics-city": "statistics",
    "statistics-county": "statistics",
    "statistics-town": "statistics",
}

SECOND_RELEASE = {
    "provinces": {"created": 0, "changed": 0, "deleted": 0},
    "cities": {"created": 0, "changed": 0, "deleted": 0},
    "areas": {"created": 53, "changed": 8, "deleted": 70},
    "streets": {"created": 2681, "changed": 712, "deleted": 4434},
}
"""What changed in the national divisions from 2019 to 2023, as their README tells."""


def check_proof(report: dict[str, Any]) -> None:
    wrong = ("missing", "extra", "different", "leaked", "out_of_order", "doubled")
    for name, view in report["views"].items():
        assert {count: view[count] for count in wrong} == dict.fromkeys(wrong, 0), name
        assert view["expected"] == view["received"], name
        assert view["rows"] > 0, name
    assert {name: view["subscriber"] for name, view in report["views"].items()} == VIEWS
    assert report["proven"] is True
    assert report["views"]["portal-person"]["rows"] <= report["register"]["rows"]
    assert 0 < report["views"]["gusu-person"]["rows"] < report["views"]["portal-person"]["rows"]


def test_the_demo_proves_that_nothing_is_missing_leaked_or_out_of_order(start: Start, tmp_path: Path) -> None:
    process = start("demo", "--for", "12s", "--rate", "200", "--rows", "2000", "--report", "report.json")
    out, err = process.communicate(timeout=200)
    assert (process.returncode, err) == (0, "")
    assert "proven: the same" in out
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    check_proof(report)
    assert {(reject["field"], reject["reason"]) for reject in report["rejects"]} >= RULES
    assert report["sources"]["gongan.population"]["changes"] > 2_000 + 800
    dumps = report["dumps"]
    assert dumps["enterprises"] == {"dropped": 5, "refused": 1, "to_be_refused": 1}
    assert {level: told["published"] for level, told in dumps["divisions"].items()} == SECOND_RELEASE
    assert report["latency_ms"]["samples"] > 800


def test_ctrl_c_ends_the_demo_early_with_the_proof(start: Start, tmp_path: Path) -> None:
    process = start(
        "demo", "--for", "10m", "--rate", "100", "--rows", "200", "--report", "report.json", "--keep", "kept"
    )
    changes_begin(process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert "proven: the same" in out
    check_proof(json.loads((tmp_path / "report.json").read_text("utf-8")))
    assert (tmp_path / "kept" / "bus-up.log").exists()


def test_nothing_outlives_a_demo_that_is_killed(start: Start) -> None:
    process = start("demo", "--for", "10m", "--rate", "50", "--rows", "100")
    changes_begin(process)
    below = {pid: words(pid) for pid in descendants(process.pid)}
    programs = {Path(command[0]).name for command in below.values()}
    assert {"java", "postgres"} <= programs
    process.kill()
    process.communicate()
    asyncio.run(until(lambda: not [pid for pid, command in below.items() if words(pid) == command], within=60))
    for command in below.values():  # the killed demo could not remove its folders
        for option in {"-D", "--data-dir"} & set(command):
            folder = Path(command[command.index(option) + 1])
            shutil.rmtree(folder.parent if folder.name == "data" else folder, ignore_errors=True)


@pytest.mark.parametrize("mistake", [["--rate", "0"], ["--rows", "1"], ["--for", "-1s"], ["--keep", "/proc/none"]])
def test_a_demo_that_cannot_be_says_why_before_it_starts(start: Start, mistake: list[str]) -> None:
    process = start("demo", *mistake)
    _, err = process.communicate(timeout=20)
    assert process.returncode in {1, 2}
    assert mistake[1] in err
    assert "Traceback" not in err
