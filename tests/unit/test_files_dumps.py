"""Dumps as departments send them: good ones, and each kind of bad one with what is said about it."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from bus.spi import Op, Rejected, Severity, SourceUnavailableError
from bus.testing.reading import Reading
from bus.testing.waiting import until
from tests.files_folder import HEADER, DumpFolder, changes, table, told

if TYPE_CHECKING:
    from pathlib import Path

MANY = {f"n{number:03d}": "王伟" for number in range(100)}


@pytest.fixture
def dumps(tmp_path: Path) -> DumpFolder:
    return DumpFolder(tmp_path)


async def refused(dumps: DumpFolder, content: str | bytes, **people: Any) -> str:
    """What is said of a dump that is refused, while the last good one stays what is known."""
    dumps.drop("people-1.csv", {"1": "甲", "2": "乙"})
    await dumps.take(adapter=dumps.adapter())
    dumps.drop("people-2.csv", content)
    async with dumps.read(dumps.adapter(**people)) as reading:
        await until(lambda: len(dumps.names("failed")) == 2, within=15, what="the dump in failed/")
        assert dumps.names() == []
        dumps.drop("people-3.csv", {"1": "甲", "2": "改"}, people.get("encoding", "utf-8"))
        await reading.changes(1)
        assert told(reading.batches) == [("u", "2", "改")]
    text = dumps.reason()
    assert "people-2.csv" in text
    assert "fix:" in text
    return text


async def test_a_dump_goes_out_as_its_difference_from_the_last_with_before_images(dumps: DumpFolder) -> None:
    dumps.drop("people-1.csv", {"1": "甲", "2": "乙", "3": None})
    first = await dumps.take()
    dumps.drop("people-2.csv", {"4": "丁", "3": None, "2": "改"})
    second = await dumps.take()

    assert told(first) == [("r", "1", "甲"), ("r", "2", "乙"), ("r", "3", None)]
    assert told(second) == [("d", "1", None), ("u", "2", "改"), ("c", "4", "丁")]
    assert [change.before and change.before["name"] for change in changes(second)] == ["甲", "乙", None]
    assert changes(second)[1].after == {"number": "2", "name": "改", "age": 30}
    assert dumps.names("done") == ["00000001.people-1.csv", "00000002.people-2.csv"]
    assert dumps.names() == []


async def test_the_same_dump_again_changes_nothing_and_is_done(dumps: DumpFolder) -> None:
    for name in ("people-1.csv", "people-2.csv"):
        dumps.drop(name, {"1": "甲"})
        batches = await dumps.take()

    assert told(batches) == []
    assert len(dumps.names("done")) == 2


@pytest.mark.parametrize(("encoding", "declared"), [("gb18030", "auto"), ("gb18030", "gbk"), ("utf-8-sig", "auto")])
async def test_encodings_are_told_apart(dumps: DumpFolder, encoding: str, declared: str) -> None:
    names = {f"3205{number}": name for number, name in enumerate(["王小明", "李娜", "欧阳锋", "陈建国", "𠮷田"] * 9)}
    dumps.drop("people-1.csv", table(names), encoding)

    batches = await dumps.take(adapter=dumps.adapter(encoding=declared))

    assert {number: name for _, number, name in told(batches)} == names


async def test_null_and_an_empty_text_are_not_the_same(dumps: DumpFolder) -> None:
    dumps.drop("people-1.csv", f'{HEADER}\n1,,30\n2,"",30\n')
    await dumps.take()
    dumps.drop("people-2.csv", f'{HEADER}\n1,"",30\n2,"",30\n')

    (change,) = changes(await dumps.take())

    assert change.before is not None
    assert change.after is not None
    assert (change.before["name"], change.after["name"]) == (None, "")


async def test_a_bad_row_is_rejected_by_its_line_and_its_key_is_not_deleted(dumps: DumpFolder) -> None:
    dumps.drop("people-1.csv", {"1": "甲", "2": "乙", "3": "丙"})
    await dumps.take()
    dumps.drop("people-2.csv", f"{HEADER}\n1,甲,30\n2,乙,三十\n")  # the key is readable, the age is not; 3 is gone
    batches = await dumps.take()

    rejected = [change for change in changes(batches) if isinstance(change, Rejected)]
    assert [(each.rule, each.field, each.reason) for each in rejected] == [
        ("type", "age", "people-2.csv line 3: age is not a long")
    ]
    assert rejected[0].original.decode() == "2,乙,三十"
    assert [change.op for change in changes(batches)[1:]] == [Op.DELETE]
    assert (changes(batches)[1].before or {})["number"] == "3"
    assert [change.row for change in changes(batches)] == [1, 2]

    dumps.drop("people-3.csv", f"{HEADER}\n1,甲,30\n2,新,30\n")  # compared with what was known before the bad row
    (change,) = changes(await dumps.take())
    assert (change.op, (change.before or {})["name"]) == (Op.UPDATE, "乙")


@pytest.mark.parametrize("bad", ["2,乙", ",乙,30", '"",乙,30', '2,"乙,30', "2,乙,30,x"])
async def test_while_the_key_of_a_bad_row_is_unknown_nothing_is_deleted(dumps: DumpFolder, bad: str) -> None:
    dumps.drop("people-1.csv", {"1": "甲", "2": "乙", "3": "丙"})
    await dumps.take()
    dumps.drop("people-2.csv", f"{HEADER}\n1,改,30\n{bad}\n")
    rejected, update = changes(await dumps.take())
    assert isinstance(rejected, Rejected)
    assert " line 3: " in rejected.reason
    assert rejected.original.decode() == bad
    assert update.op is Op.UPDATE

    dumps.drop("people-3.csv", {"1": "改"})
    assert told(await dumps.take()) == [("d", "2", None), ("d", "3", None)]


@pytest.mark.parametrize(("key", "value"), [("h", "op"), ("op", "h"), ("lines", "c0"), ("c1", "line")])
async def test_fields_may_have_any_names(dumps: DumpFolder, key: str, value: str) -> None:
    config: dict[str, Any] = {"key": [key], "columns": {"c0": key, "c1": value}, "types": {}}
    dumps.drop("people-1.csv", "c0,c1\nA1,one\nA2,two\n")
    await dumps.take(adapter=dumps.adapter(**config))
    dumps.drop("people-2.csv", "c0,c1\nA1,ONE\nA2,two\n")

    (change,) = changes(await dumps.take(adapter=dumps.adapter(**config)))

    assert (change.op, change.before, change.after) == (
        Op.UPDATE, {key: "A1", value: "one"}, {key: "A1", value: "ONE"},
    )  # fmt: skip


def test_fields_that_differ_in_case_alone_are_refused(dumps: DumpFolder) -> None:
    with pytest.raises(ValueError, match="two fields differ in nothing but upper and lower case"):
        dumps.adapter(key=["id"], columns={"a": "id", "b": "Id"}, types={})


@pytest.mark.parametrize("date", ["0000-01-01", "2023-02-29", "10000-01-01", "1-1-1"])
async def test_a_date_that_is_none_costs_its_row(dumps: DumpFolder, date: str) -> None:
    config: dict[str, Any] = {"key": ["id"], "columns": {"id": "id", "day": "day"}, "types": {"day": "date"}}
    dumps.drop("people-1.csv", f"id,day\nA1,{date}\nA2,0001-01-01\nA3,9999-12-31\n")

    rejected, *good = changes(await dumps.take(adapter=dumps.adapter(**config)))

    assert isinstance(rejected, Rejected)
    assert rejected.reason == "people-1.csv line 2: day is not a date"
    assert [change.after for change in good] == [
        {"id": "A2", "day": dt.date(1, 1, 1)}, {"id": "A3", "day": dt.date(9999, 12, 31)},
    ]  # fmt: skip


async def test_a_dump_with_the_wrong_encoding(dumps: DumpFolder) -> None:
    names = {f"{number}": "王小明" for number in range(30)}

    text = await refused(dumps, table(names).encode("gb18030"), encoding="utf-8")

    assert "`encoding` says utf-8" in text
    assert "encoding: gb18030" in text


async def test_a_dump_in_utf8_that_is_declared_gb18030(dumps: DumpFolder) -> None:
    assert "encoding: utf-8" in await refused(dumps, table({"1": "王小明"}), encoding="gb18030")


async def test_a_dump_in_utf16(dumps: DumpFolder) -> None:
    assert "UTF-16" in await refused(dumps, table({"1": "王小明"}).encode("utf-16"))


async def test_a_dump_without_a_header(dumps: DumpFolder) -> None:
    text = await refused(dumps, "1,甲,30\n2,乙,30\n")

    assert "people-2.csv:1" in text
    assert f"the first line must name the columns: {HEADER}" in text
    assert "甲" not in text


async def test_a_header_that_lacks_a_column(dumps: DumpFolder) -> None:
    assert "the header lacks 年龄" in await refused(dumps, "编号,姓名\n1,甲\n")


async def test_a_header_with_a_column_twice(dumps: DumpFolder) -> None:
    assert "姓名 stands in the header more than once" in await refused(dumps, "编号,姓名,姓名,年龄\n1,甲,甲,30\n")


async def test_another_delimiter_is_named(dumps: DumpFolder) -> None:
    assert "`delimiter` should be ';'" in await refused(dumps, "编号;姓名;年龄\n1;甲;30\n")


async def test_an_empty_file(dumps: DumpFolder) -> None:
    assert "it is empty, without even a header" in await refused(dumps, "")


async def test_a_line_without_an_end(dumps: DumpFolder) -> None:
    text = await refused(dumps, f"{HEADER}\n1,甲,30\n2," + "x" * (6 << 20))

    assert "line 3 has no end" in text
    assert "where: people-2.csv" in text


async def test_a_dump_of_another_dataset(dumps: DumpFolder) -> None:
    firms = {"files": "firms*.csv", "key": ["code"], "columns": ["code", "title"]}
    datasets = {"firms": firms}

    text = await refused(dumps, "code,title\n1,x\n", datasets=datasets)

    assert "it is a dump of the dataset firms" in text


async def test_a_key_that_stands_twice(dumps: DumpFolder) -> None:
    text = await refused(dumps, f"{HEADER}\n1,甲,30\n2,乙,30\n1,甲,31\n")

    assert "1 key(s) (number) stand in it more than once: lines 2 and 4" in text


async def test_a_dump_of_rows_that_mostly_cannot_be_read(dumps: DumpFolder) -> None:
    rows = "".join(f"{number},甲,{'x' if number % 2 else 30}\n" for number in range(60))

    text = await refused(dumps, f"{HEADER}\n{rows}")

    assert "30 of 60 rows cannot be read, more than 5%; the first: line 3: age is not a long" in text


async def test_up_to_ten_bad_rows_do_not_refuse_a_small_dump(dumps: DumpFolder) -> None:
    rows = "".join(f"{number},甲,{'x' if number < 10 else 30}\n" for number in range(12))
    dumps.drop("people-1.csv", f"{HEADER}\n{rows}")

    batches = await dumps.take()

    assert sum(isinstance(change, Rejected) for change in changes(batches)) == 10
    assert len(changes(batches)) == 12


async def test_not_even_one_bad_row_passes_where_no_row_is_good(dumps: DumpFolder) -> None:
    assert "1 of 1 rows cannot be read" in await refused(dumps, f"{HEADER}\n1,甲,x\n")


async def test_a_dump_that_is_older_than_the_last(dumps: DumpFolder) -> None:
    dumps.drop("people-10.csv", {"1": "甲"})
    await dumps.take()
    dumps.drop("people-9.csv", {"1": "旧"})
    async with dumps.read():
        await until(lambda: len(dumps.names("failed")) == 2, within=15, what="the dump in failed/")

    assert "it is older than the last dump of people" in dumps.reason()


@pytest.mark.parametrize("left", [{}, dict(list(MANY.items())[:40])])
async def test_a_dump_that_lacks_too_much_waits_until_a_person_accepts_it(
    dumps: DumpFolder, left: dict[str, str | None]
) -> None:
    dumps.drop("people-1.csv", {**MANY})
    await dumps.take()
    dumps.drop("people-2.csv", left)
    gone = len(MANY) - len(left)
    async with dumps.read() as reading:
        held = dumps.folder / "people-2.csv.held.txt"
        await until(held.exists, within=15, what="the question")
        text = held.read_text(encoding="utf-8")
        assert f"it lacks {gone} of 100 known rows, more than 30%" in text
        assert "create an empty file people-2.csv.accept-deletions beside it" in text
        assert reading.batches == []
        findings = await dumps.adapter().check(["people"], {"people": ("number",)})
        assert [(each.severity, each.where) for each in findings] == [(Severity.WARNING, "people-2.csv")]

        (dumps.folder / "people-2.csv.accept-deletions").touch()
        await reading.changes(gone)
        await until(lambda: dumps.names() == [], within=15, what="all is moved")
    assert len(dumps.names("done")) == 2


async def test_a_dump_that_is_cut_off_inside_a_row_waits_too(dumps: DumpFolder) -> None:
    dumps.drop("people-1.csv", MANY)
    await dumps.take()
    whole = table(dict(list(MANY.items())[:41]))
    dumps.drop("people-2.csv", whole[: whole.rindex(",")].rpartition(",")[0])
    async with dumps.read() as reading:
        held = dumps.folder / "people-2.csv.held.txt"
        await until(held.exists, within=15, what="the question")
        text = held.read_text(encoding="utf-8")
        assert "it lacks 59 of 100 known rows, more than 30%, and 1 of its rows have no key that can be read" in text
        findings = await dumps.adapter(ready="settle").check(["people"], {"people": ("number",)})
        assert [each.fix for each in findings] == ["see people-2.csv.held.txt beside it"], "not: wait until it is whole"

        (dumps.folder / "people-2.csv.accept-deletions").touch()
        await until(lambda: dumps.names() == [], within=15, what="all is moved")
    assert [change.rule for change in changes(reading.batches) if isinstance(change, Rejected)] == ["columns"]
    assert len(changes(reading.batches)) == 1, "nothing is deleted"


async def test_a_whole_dump_takes_the_place_of_one_that_waits(dumps: DumpFolder) -> None:
    dumps.drop("people-1.csv", {**MANY})
    await dumps.take()
    dumps.drop("people-2.csv", {})
    async with dumps.read() as reading:
        await until((dumps.folder / "people-2.csv.held.txt").exists, within=15, what="the question")
        dumps.drop("people-2.csv", MANY | {"n000": "改"})
        await reading.changes(1)
        await until(lambda: dumps.names() == [], within=15, what="all is moved")

    assert told(reading.batches) == [("u", "n000", "改")]


async def test_a_file_that_is_still_being_written_is_left_until_it_stays(dumps: DumpFolder) -> None:
    path = dumps.folder / "people-1.csv"
    adapter = dumps.adapter(ready="settle")
    async with Reading(adapter, ["people"], acknowledge=True) as reading:
        with path.open("w", encoding="utf-8") as writing:
            writing.write(f"{HEADER}\n")
            for number in range(40):
                writing.write(f"{number},甲,30\n")
                writing.flush()
                size = path.stat().st_size
                await until(adapter._inbox.arrivals, within=5)
                assert size == path.stat().st_size
                assert reading.batches == []
            findings = await dumps.adapter(ready="settle").check(["people"], {"people": ("number",)})
            assert [(each.where, each.message) for each in findings] == [("people-1.csv", "it may still be written")]
        rows = await reading.snapshot()

    assert len(rows) == 40


async def test_a_file_waits_for_its_marker(dumps: DumpFolder) -> None:
    dumps.drop("people-1.csv", {"1": "甲"})
    (finding,) = await dumps.adapter(ready="marker").check(["people"], {"people": ("number",)})
    assert finding.fix == "wait, or put people-1.csv.ok beside it"
    async with dumps.read(dumps.adapter(ready="marker")) as reading:
        assert reading.batches == []
        (dumps.folder / "people-1.csv.ok").touch()
        await reading.snapshot()
        await until(lambda: dumps.names() == [], within=15, what="the marker is gone too")


async def test_a_column_that_the_configuration_adds_is_an_update(dumps: DumpFolder) -> None:
    dumps.drop("people-1.csv", "编号,姓名,年龄,备注\n1,甲,30,x\n")
    await dumps.take()
    dumps.drop("people-2.csv", "编号,姓名,年龄,备注\n1,甲,30,x\n")
    columns = {"编号": "number", "姓名": "name", "年龄": "age", "备注": "note"}

    (change,) = changes(await dumps.take(adapter=dumps.adapter(columns=columns)))

    assert (change.op, change.before) == (Op.UPDATE, {"number": "1", "name": "甲", "age": 30, "note": None})


async def test_findings_name_what_is_wrong_with_the_set_up(dumps: DumpFolder) -> None:
    dumps.drop("firms.csv", "x\n")
    adapter = dumps.adapter()

    (key,) = await adapter.check(["people"], {"people": ("name",)})
    (stranger,) = await adapter.check(["people"], {"people": ("number",)})

    assert "the Dataset's key is name, the configuration's number" in key.message
    assert (stranger.where, stranger.severity) == ("firms.csv", Severity.WARNING)


FULL = """
import asyncio, resource, sys
from pathlib import Path
from tests.files_folder import DumpFolder
from bus.spi import SourceUnavailableError

async def main():
    dumps = DumpFolder(Path(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
    try:
        await dumps.take()
    except SourceUnavailableError as error:
        print(error)

asyncio.run(main())
"""


@pytest.mark.parametrize("limit", [10_000, 200_000])
async def test_a_full_disk_loses_nothing_and_says_so(
    dumps: DumpFolder, limit: int, request: pytest.FixtureRequest
) -> None:
    rows: dict[str, str | None] = {f"{number * 7919:08d}": f"名{number * 104729}" for number in range(20_000)}
    dumps.drop("people-1.csv", rows)

    run = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", FULL, str(dumps.folder), str(limit)],
        capture_output=True, text=True, check=False, cwd=request.config.rootpath, timeout=60,
    )  # fmt: skip

    assert "the adapter's state could not be written" in run.stdout, run.stderr
    assert "make room on that disk" in run.stdout
    assert dumps.names() == ["people-1.csv"]
    assert len(told(await dumps.take())) == 20_000


FAILING = """
import asyncio, sys
from pathlib import Path
from bus.process import collect_rarely
from tests.files_folder import DumpFolder

async def main():
    dumps = DumpFolder(Path(sys.argv[1]))
    collect_rarely()
    async for batch in dumps.adapter().read(["people"], None):
        raise SystemExit("the message")

asyncio.run(main())
"""


def test_an_error_ends_the_process_without_lines_of_the_engine(
    dumps: DumpFolder, request: pytest.FixtureRequest
) -> None:
    dumps.drop("people-1.csv", {"1": "甲"})

    run = subprocess.run(
        [sys.executable, "-c", FAILING, str(dumps.folder)],
        capture_output=True, text=True, check=False, cwd=request.config.rootpath, timeout=60,
    )  # fmt: skip

    assert run.returncode == 1
    assert "the message" in run.stderr
    assert "nanobind" not in run.stderr


async def test_two_processes_never_share_a_state(dumps: DumpFolder) -> None:
    dumps.drop("people-1.csv", {"1": "甲"})
    async with dumps.read() as reading:
        await reading.snapshot()
        with pytest.raises(SourceUnavailableError, match="another process uses the adapter's state"):
            await dumps.take()


GBK_NAME = os.fsdecode("people-2中.csv".encode("gbk"))


async def test_a_dump_whose_name_is_not_utf8_is_taken(dumps: DumpFolder) -> None:
    dumps.drop("people-1.csv", {"1": "甲"})
    await dumps.take()
    dumps.drop(GBK_NAME, f"{HEADER}\n1,改,30\n2,乙,三十\n")

    rejected, update = changes(await dumps.take())

    assert isinstance(rejected, Rejected)
    assert rejected.reason == "people-2中.csv line 3: age is not a long"
    assert (update.after or {})["name"] == "改"
    assert dumps.names("done") == ["00000001.people-1.csv", f"00000002.{GBK_NAME}"]
    dumps.drop(os.fsdecode(b"people-3\xff.csv"), {"1": "新", "2": "乙"})
    assert told(await dumps.take()) == [("u", "1", "新"), ("c", "2", "乙")]


@pytest.mark.parametrize(
    ("name", "shown"), [(GBK_NAME, "people-2中.csv"), (os.fsdecode(b"people-2\xff.csv"), "people-2\\xff.csv")]
)
async def test_a_dump_whose_name_is_not_utf8_is_refused_or_held_as_others_are(
    dumps: DumpFolder, name: str, shown: str
) -> None:
    dumps.drop("people-1.csv", {**MANY})
    await dumps.take()
    dumps.drop(name, "")
    async with dumps.read():
        await until(lambda: len(dumps.names("failed")) == 2, within=15, what="the dump in failed/")
        assert f"where: {shown}" in dumps.reason()
        dumps.drop(name, {})
        held = dumps.folder / f"{name}.held.txt"
        await until(held.exists, within=15, what="the question")
        assert f"create an empty file {shown}.accept-deletions beside it" in held.read_text(encoding="utf-8")
        (finding,) = await dumps.adapter().check(["people"], {"people": ("number",)})
        assert (finding.where, finding.fix) == (shown, f"see {shown}.held.txt beside it")
        (dumps.folder / f"{shown}.accept-deletions").touch()
        await until(lambda: dumps.names() == [], within=15, what="all is moved")


LONG = [f"people-{'9' * 237}{end}.csv" for end in "12345"]
"""Of 249 bytes."""


async def test_dumps_with_very_long_names_are_taken_and_stay_apart(dumps: DumpFolder) -> None:
    for name in LONG[:2]:
        (dumps.folder / name).write_text(table({"1": name[-5]}), encoding="utf-8")
        batches = await dumps.take()
    assert told(batches) == [("u", "1", "2")]
    done = dumps.names("done")
    assert len({name.partition(".")[2] for name in done}) == 2
    assert all(name.startswith("0000000") and name.endswith(".csv") and len(name) <= 255 for name in done)

    for path in dumps.state.iterdir():
        path.unlink()
    dumps.position = None
    assert told(await dumps.take()) == [("r", "1", "2")], "mended from done/"
    (dumps.folder / LONG[2]).write_text(table({"1": "3"}), encoding="utf-8")
    assert told(await dumps.take()) == [("u", "1", "3")]


async def test_dumps_with_very_long_names_are_refused_and_held(dumps: DumpFolder) -> None:
    (dumps.folder / LONG[0]).write_text(table(MANY), encoding="utf-8")
    await dumps.take()
    (dumps.folder / LONG[1]).write_text("", encoding="utf-8")
    (dumps.folder / LONG[2]).write_text(table({}), encoding="utf-8")
    async with dumps.read() as reading:
        await until(lambda: len(dumps.names("failed")) == 2, within=15, what="the dump in failed/")
        assert f"where: {LONG[1]}" in dumps.reason()
        await until(lambda: list(dumps.folder.glob("*.held.txt")), within=15, what="the question")
        (held,) = dumps.folder.glob("*.held.txt")
        accept = held.read_text(encoding="utf-8").partition("create an empty file ")[2].partition(" ")[0]
        assert (await dumps.adapter().check(["people"], {"people": ("number",)}))[0].fix == f"see {held.name} beside it"
        (dumps.folder / accept).touch()
        await reading.changes(100)
        await until(lambda: dumps.names() == [], within=15, what="all is moved")


@pytest.mark.parametrize(("rows", "size"), [(41_000, 950), (4_000, 20_000)])
async def test_long_rows_fit_into_the_memory_of_those_who_read_them(dumps: DumpFolder, rows: int, size: int) -> None:
    """An engine reads a part of a file as a whole; parts are made by bytes, not by rows alone."""
    seeds = random.Random(7)
    names = {f"{number:06}": seeds.randbytes(size // 2).hex() for number in range(rows)}
    dumps.drop("people-1.csv", names)
    found = {row["number"]: row["name"] for change in changes(await dumps.take()) if (row := change.after)}
    assert found == names
