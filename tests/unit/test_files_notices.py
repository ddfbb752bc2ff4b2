"""Dumps that a person must see to are told for as long as they need somebody, and not longer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from bus.spi import Finding, Severity
from bus.testing.waiting import until
from tests.files_folder import HEADER, DumpFolder

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.files import FilesAdapter

MANY: dict[str, str | None] = {f"n{number:03d}": "王伟" for number in range(100)}
BAD = "编号,姓名\n1,甲\n"


@pytest.fixture
def dumps(tmp_path: Path) -> DumpFolder:
    return DumpFolder(tmp_path)


def notices(adapter: FilesAdapter) -> list[Finding]:
    return [*adapter.notices().get("people", ())]


async def come(adapter: FilesAdapter, count: int = 1) -> list[Finding]:
    """The notices, once there are so many."""
    await until(lambda: len(notices(adapter)) == count, within=15, what=f"{count} notices")
    return notices(adapter)


async def one_is_held(dumps: DumpFolder) -> None:
    dumps.drop("people-1.csv", MANY)
    await dumps.take()
    dumps.drop("people-2.csv", {})


async def test_a_dump_that_is_held_is_a_notice_until_it_is_accepted(dumps: DumpFolder) -> None:
    await one_is_held(dumps)
    adapter = dumps.adapter()
    assert adapter.notices() == {}
    async with dumps.read(adapter) as reading:
        (notice,) = await come(adapter)
        assert (notice.where, notice.severity) == ("people-2.csv", Severity.ERROR)
        assert notice.message == "it lacks 100 of 100 known rows, more than 30%"
        assert "create an empty file people-2.csv.accept-deletions beside it" in notice.fix

        (dumps.folder / "people-2.csv.accept-deletions").touch()
        await reading.changes(100)
        assert notices(adapter) == []


async def test_a_dump_that_is_held_is_a_notice_until_it_is_replaced_or_gone(dumps: DumpFolder) -> None:
    await one_is_held(dumps)
    dumps.drop("people-3.csv", {})
    adapter = dumps.adapter()
    async with dumps.read(adapter) as reading:
        await come(adapter, 2)
        (dumps.folder / "people-2.csv").unlink()
        await come(adapter, 1)
        assert not (dumps.folder / "people-2.csv.held.txt").exists()
        dumps.drop("people-3.csv", MANY | {"n000": "改"})
        await come(adapter, 0)
        await reading.changes(1)


async def test_a_newer_dump_mends_one_that_is_held_and_nobody_hears_of_it_again(dumps: DumpFolder) -> None:
    await one_is_held(dumps)
    adapter = dumps.adapter()
    async with dumps.read(adapter) as reading:
        await come(adapter)
        dumps.drop("people-3.csv", MANY | {"n000": "改"})
        await reading.changes(1)
        await until(lambda: dumps.names("failed"), within=15, what="the old one in failed/")
        await come(adapter, 0)

    assert "it is older than the last dump of people" in dumps.reason()


async def test_the_last_dump_that_was_refused_is_a_notice_until_a_newer_one_is_good(dumps: DumpFolder) -> None:
    dumps.drop("people-1.csv", {"1": "甲"})
    await dumps.take()
    dumps.drop("people-3.csv", BAD)
    dumps.drop("people-4.csv", "")
    adapter = dumps.adapter()
    async with dumps.read(adapter) as reading:
        await until(lambda: [each.where for each in notices(adapter)] == ["people-4.csv"], within=15)
        (notice,) = notices(adapter)
        assert notice.severity is Severity.WARNING
        assert notice.message == "it is empty, without even a header"
        (failed,) = (each for each in dumps.names("failed") if each.endswith("people-4.csv"))
        assert notice.fix == f"write it again (it lies in failed/{failed})"

        dumps.drop("people-2.csv", {"1": "乙"})
        await reading.changes(1)
        assert notices(adapter) == [notice], "the newest is still missing"
        dumps.drop("people-4.csv", {"1": "丙"})
        await reading.changes(2)
        assert notices(adapter) == []


async def test_a_refused_dump_is_forgotten_when_it_is_taken_out_of_failed(dumps: DumpFolder) -> None:
    dumps.drop("people-1.csv", BAD)
    adapter = dumps.adapter()
    async with dumps.read(adapter):
        (notice,) = await come(adapter)
        assert notice.where == "people-1.csv:1"
        for name in dumps.names("failed"):
            (dumps.folder / "failed" / name).unlink()
        await come(adapter, 0)


async def test_an_older_dump_is_a_notice_only_if_its_time_says_that_it_is_newer(dumps: DumpFolder) -> None:
    dumps.drop("people-20260301.csv", {"1": "甲"})
    await dumps.take()
    dumps.drop("people-0.csv", {"1": "旧"})
    os.utime(dumps.folder / "people-0.csv", ns=(1, 1))
    adapter = dumps.adapter()
    async with dumps.read(adapter):
        await until(lambda: len(dumps.names("failed")) == 2, within=15, what="the dump in failed/")
        dumps.drop("people-02032026.csv", {"1": "新"})
        (notice,) = await come(adapter)

    assert notice.where == "people-02032026.csv"
    assert notice.message.startswith("by its name it is older than the last dump of people")


async def test_notices_outlive_a_restart(dumps: DumpFolder) -> None:
    await one_is_held(dumps)
    dumps.drop("people-3.csv", BAD)
    first = dumps.adapter()
    async with dumps.read(first):
        before = await come(first, 2)

    again = dumps.adapter()
    async with again.alone():
        assert notices(again) == before, "before anything is read"
    async with dumps.read(again):
        await until((dumps.folder / "people-2.csv.held.txt").exists, within=15)
        (dumps.folder / "people-2.csv").unlink()
        assert await come(again, 1) == before[1:]


@pytest.mark.parametrize("harm", ["", "{}", "[1]", '[{"dataset": "people"}]', '[{"finding": {}}]'])
async def test_damaged_notices_are_none(dumps: DumpFolder, harm: str) -> None:
    await one_is_held(dumps)
    (dumps.state / "notices.json").write_text(harm, encoding="utf-8")
    adapter = dumps.adapter()
    async with dumps.read(adapter):
        await come(adapter)


async def test_a_name_that_is_not_utf8_is_told_as_the_log_tells_it(dumps: DumpFolder) -> None:
    dumps.drop(os.fsdecode("people-人口.csv".encode("gb18030")), f"{HEADER}\n1,甲,三十\n")
    adapter = dumps.adapter()
    async with dumps.read(adapter):
        (notice,) = await come(adapter)

    assert notice.where == "people-人口.csv:2"
    assert "甲" not in str(notice)
    assert "三十" not in str(notice)
