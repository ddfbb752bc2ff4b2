"""A dump that a person must see to: held by a real adapter, seen by operators, and gone once it is accepted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bus.control.health import Verdict
from bus.errors import Severity
from bus.testing.office import DATASET, Office, credit_codes
from bus.testing.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from bus.control.health import DatasetHealth

CONFIG = """
folder: {folder}
ready: rename
poll_seconds: 0.1
datasets:
  companies:
    files: companies_*.csv
    key: [tyshxydm]
    columns: [tyshxydm, qymc, clrq, zt, gxsj]
"""
HEADER = "tyshxydm,qymc,clrq,zt,gxsj"
CODES = credit_codes(40)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """The office, whose register comes as dumps."""
    async with Office(tmp_path) as running:
        dataset = running.workspace / "companies" / "companies.yaml"
        text = dataset.read_text("utf-8")
        source = "{adapter: postgres, config: scjg, name: public.companies}"
        assert source in text
        dataset.write_text(text.replace(source, "{adapter: files, config: scjg, name: companies}"), "utf-8")
        await running.apply()
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "dumps"
    made.mkdir()
    (tmp_path / "files.yaml").write_text(CONFIG.format(folder=made), "utf-8")
    return made


def drop(folder: Path, number: int, codes: Sequence[str]) -> None:
    rows = "".join(f"{code},公司{code[-6:]},2020-01-01,存续,2026-03-01T00:00:00Z\n" for code in codes)
    part = folder / f"companies_{number}.csv.part"
    part.write_text(f"{HEADER}\n{rows}", "utf-8")
    part.rename(folder / f"companies_{number}.csv")


async def seen(office: Office, condition: Callable[[DatasetHealth], object]) -> DatasetHealth:
    """The dataset in the first observation in which it fulfils the condition."""
    return (await office.observed(lambda health: condition(health.datasets[0]))).datasets[0]


async def test_a_dump_that_is_held_is_seen_by_operators_until_it_is_accepted(office: Office, folder: Path) -> None:
    config = str(folder.parent / "files.yaml")
    drop(folder, 1, CODES)
    adapter = office.processes.start(office.settings, "adapter", "run", "scjg", "--config", config)
    office.worker()
    await seen(office, lambda dataset: dataset.ok and dataset.records == len(CODES))

    drop(folder, 2, CODES[:10])
    dataset = await seen(office, lambda dataset: not dataset.ok)
    assert (dataset.verdict, dataset.code) == (Verdict.STALLED, "source-waits")
    assert dataset.cause == (
        f"dataset {DATASET}: companies_2.csv waits for a person: it lacks 30 of 40 known rows, more than 30%"
    )
    assert "create an empty file companies_2.csv.accept-deletions beside it" in dataset.action
    assert [(each.where, each.severity) for each in dataset.notices] == [("companies_2.csv", Severity.ERROR)]

    told = json.loads((await office.status("--json"))[1])
    assert (told["verdict"], told["code"], told["cause"]) == ("STALLED", "source-waits", dataset.cause)
    assert told["datasets"][0]["notices"][0]["where"] == "companies_2.csv"
    assert {each["name"]: each["verdict"] for each in told["departments"]}["scjg"] == "STALLED"
    assert {view["verdict"] for view in told["views"]} == {"OK"}, "what they have is as it was"
    assert "companies_2.csv waits for a person" in (await office.status("--once"))[1]

    assert adapter.end() == 0
    office.processes.start(office.settings, "adapter", "run", "scjg", "--config", config)
    await seen(office, lambda dataset: dataset.code == "source-waits")

    (folder / "companies_2.csv.accept-deletions").touch()
    dataset = await seen(office, lambda dataset: dataset.ok and dataset.records == len(CODES) + 30)
    assert dataset.notices == ()
    await until(lambda: not [*folder.glob("*.csv*")], within=10, what="the folder is empty")


async def test_a_dump_that_was_refused_is_seen_by_operators_until_a_good_one_comes(
    office: Office, folder: Path
) -> None:
    office.worker()
    drop(folder, 1, [CODES[0], CODES[0]])
    config = str(folder.parent / "files.yaml")
    office.processes.start(office.settings, "adapter", "run", "scjg", "--config", config)

    dataset = await seen(office, lambda dataset: dataset.code == "source-refused")
    assert dataset.verdict is Verdict.STALLED
    assert "companies_1.csv:2 was refused, and nothing newer came: 1 key(s) (tyshxydm) stand in it" in dataset.cause
    assert "write one row for each key" in dataset.action
    assert CODES[0] not in json.dumps((await office.observer.observe()).as_json())

    drop(folder, 2, CODES[:2])
    await seen(office, lambda dataset: dataset.ok and dataset.records == 2)
