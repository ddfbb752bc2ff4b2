"""`docs/sizing.md` is true: it knows every scenario, and what it computes follows from what it says was measured."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from bus.bench.run import ALONE, GROUPS
from bus.commands.bench import command

PAGE = (Path(__file__).parents[3] / "docs" / "sizing.md").read_text("utf-8")


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def table(title: str) -> dict[str, list[str]]:
    """The rows of a section's first table by their first cell, in lower case."""
    text = section(title)
    lines = text[text.index("\n| ") + 1 :].partition("\n\n")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    return {row[0].strip("`").lower(): row[1:] for row in rows}


def number(cell: str) -> float:
    found = re.search(r"[0-9][0-9,]*(\.[0-9]+)?", cell)
    assert found is not None, cell
    return float(found[0].replace(",", ""))


def test_it_knows_every_scenario_and_group() -> None:
    assert set(table("What is measured")) == set(ALONE)
    assert all(f"`{name}`" in section("What is measured") for name in GROUPS)


def test_its_commands_can_be_given() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    words = [shlex.split(line) for block in blocks for line in block.splitlines() if line]
    assert words
    for _, name, *options in words:
        assert name == "bench"
        assert command.make_context("bench", list(options)) is not None


@pytest.mark.parametrize("option", ["--save", "--json", "--profile", "--only"])
def test_it_names_what_the_bench_can_do(option: str) -> None:
    assert option in {name for each in command.params if isinstance(each, click.Option) for name in each.opts}
    assert option in PAGE


def test_what_is_computed_for_a_province_follows_from_what_is_given_and_measured() -> None:
    measured, given, computed = table("Measured"), table("A province: given"), table("A province: computed")
    rate, cpu = (number(cell) for cell in measured["normalise + 1 view"][:2])
    rows, share, peak = (number(given[name][0]) for name in ("rows", "changed a day", "peak over average"))
    raw, shared, copies = (number(given[name][0]) for name in ("raw record", "shared record", "replicas"))
    datasets = number(given["systems"][0]) * number(given["datasets a system"][0])
    rows *= 1e9
    changes = rows * share / 100
    expected = {
        "changes a day": changes / 1e6,
        "changes a second, peak": changes / 86_400 * peak,
        "worker cores at peak": changes / 86_400 * peak * cpu / 1e6,
        "first load, worker cpu": rows * cpu / 1e6 / 3600,
        "first load, one worker": rows / rate / 3600,
        "disk for raw, first load": rows * raw * copies / 1e12,
        "disk for raw, 7 days": changes * 7 * raw * copies / 1e12,
        "disk for shared": rows * shared * 1.5 * copies / 1e12,
        "partitions as by default": datasets * (4 + 1 + 8 + 8) + number(given["filtered views"][0]),
        "partitions, quiet ones with 1": datasets * (1 + 1 + 1 + 1) + number(given["filtered views"][0]),
    }

    told = {name: number(cells[0]) for name, cells in computed.items() if name in expected}

    assert told == {name: pytest.approx(value, rel=0.06) for name, value in expected.items()}
