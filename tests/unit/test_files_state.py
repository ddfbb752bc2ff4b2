"""What is kept between dumps: it survives a stop at any point; its loss, age or damage is found and mended."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from adapters.files.ledger import Ledger
from bus.spi import Position, Snapshot
from bus.testing.reading import position_after
from tests.files_folder import HEADER, DumpFolder, changes, told

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bus.spi import Batch

MANY = {f"n{number:05d}": "王伟" for number in range(3_500)}


@pytest.fixture
def dumps(tmp_path: Path) -> DumpFolder:
    return DumpFolder(tmp_path)


def brackets(batches: list[Batch]) -> list[Snapshot | None]:
    return [batch.snapshot for batch in batches if batch.snapshot]


def identities(batches: list[Batch]) -> list[tuple[str, int, str]]:
    return [(batch.unit, change.row, repr(change)) for batch in batches for change in batch.changes]


async def test_a_cut_unit_comes_again_row_for_row(dumps: DumpFolder) -> None:
    dumps.drop("people-1.csv", {})
    await dumps.take()
    dumps.drop("people-2.csv", MANY)
    first = await dumps.take(acknowledge=False)
    assert len(first) == 4
    for batch in first:
        dumps.position = position_after(batch)
        assert identities(await dumps.take(acknowledge=False) if not batch.last else first) == identities(first)


async def test_a_cut_snapshot_goes_on_in_the_same_unit(dumps: DumpFolder) -> None:
    dumps.drop("people-1.csv", MANY)
    first = await dumps.take(acknowledge=False)
    dumps.position = position_after(first[2])

    again = await dumps.take()

    assert identities(again) == identities(first)
    assert dumps.names("done") == ["00000001.people-1.csv"]


async def test_dumps_that_wait_for_kafka_are_compared_with_each_other(dumps: DumpFolder) -> None:
    dumps.drop("people-1.csv", {"1": "甲"})
    await dumps.take()
    dumps.drop("people-2.csv", {"1": "乙"})
    dumps.drop("people-3.csv", {"1": "丙"})

    batches = await dumps.take(2, acknowledge=False)

    assert [change.before and change.before["name"] for change in changes(batches)] == ["甲", "乙"]
    assert dumps.names() == ["people-2.csv", "people-3.csv"]
    dumps.position = position_after(batches[0])
    assert told(await dumps.take()) == [("u", "1", "丙")]
    assert dumps.names() == []


async def test_what_is_being_prepared_is_left_alone_when_the_dump_before_it_is_done(dumps: DumpFolder) -> None:
    dumps.drop("people-1.csv", {"1": "甲"})
    (begin, rows, end) = await dumps.take(acknowledge=False)
    dumps.position = position_after(rows)
    ledger = Ledger(dumps.state, dumps.adapter()._inbox)
    ledger.open()
    being_prepared = dumps.state / "rows-00000002"
    being_prepared.touch()
    ledger.acknowledge(position_after(end))
    assert being_prepared.exists()
    ledger.close()

    ledger.open()
    assert not being_prepared.exists(), "what a crash left is removed"
    ledger.close()
    assert begin.unit == end.unit


def lose(dumps: DumpFolder) -> None:
    shutil.rmtree(dumps.state)


def damage_rows(dumps: DumpFolder) -> None:
    (path,) = dumps.state.glob("rows-*")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def damage_state(dumps: DumpFolder) -> None:
    (dumps.state / "state.json").write_text('{"format": 1, "unit": "0000')


def remove_rows(dumps: DumpFolder) -> None:
    (path,) = dumps.state.glob("rows-*")
    path.unlink()


@pytest.mark.parametrize("harm", [lose, damage_rows, damage_state, remove_rows])
async def test_a_lost_or_damaged_state_is_mended_from_the_last_dump_that_was_done(
    dumps: DumpFolder, harm: Callable[[DumpFolder], None]
) -> None:
    dumps.drop("people-1.csv", {"1": "甲"})
    await dumps.take()
    dumps.drop("people-2.csv", {"1": "甲", "2": "乙"})
    await dumps.take()
    harm(dumps)
    dumps.drop("people-3.csv", {"1": "甲", "2": "改"})

    batches = await dumps.take(2)

    assert brackets(batches) == [Snapshot.BEGIN, Snapshot.END]
    assert told(batches) == [("r", "1", "甲"), ("r", "2", "乙"), ("u", "2", "改")]
    assert len({batch.unit for batch in batches}) == 2
    assert dumps.names("done")[-1] == "00000004.people-3.csv"


async def test_without_a_done_dump_the_next_one_mends_it(dumps: DumpFolder) -> None:
    dumps.drop("people-1.csv", {"1": "甲", "2": "乙"})
    await dumps.take()
    lose(dumps)
    shutil.rmtree(dumps.folder / "done")
    dumps.drop("people-2.csv", {"1": "新"})

    batches = await dumps.take()

    assert brackets(batches) == [Snapshot.BEGIN, Snapshot.END]  # the runtime deletes what is not in it
    assert told(batches) == [("r", "1", "新")]


async def test_without_a_done_dump_a_bad_row_in_the_next_one_deletes_nothing(dumps: DumpFolder) -> None:
    dumps.drop("people-1.csv", {"1": "甲", "2": "乙"})
    await dumps.take()
    lose(dumps)
    shutil.rmtree(dumps.folder / "done")
    dumps.drop("people-2.csv", f"{HEADER}\n1,新,30\n2,乙\n")
    first = await dumps.take()
    dumps.drop("people-3.csv", {"1": "新"})
    second = await dumps.take()

    assert brackets(first) == []
    assert [change.row for change in changes(first)] == [1, 2]
    assert brackets(second) == [Snapshot.BEGIN, Snapshot.END]  # now it is known which keys are gone


async def test_a_state_from_a_backup_is_older_than_kafka_and_is_not_believed(dumps: DumpFolder) -> None:
    dumps.drop("people-1.csv", {"1": "甲"})
    await dumps.take()
    backup = dumps.folder.parent / "backup"
    shutil.copytree(dumps.state, backup)
    dumps.drop("people-2.csv", {"1": "甲", "2": "乙"})
    await dumps.take()
    shutil.rmtree(dumps.state)
    backup.rename(dumps.state)
    dumps.drop("people-3.csv", {"1": "甲", "2": "改"})

    batches = await dumps.take(2)

    assert brackets(batches) == [Snapshot.BEGIN, Snapshot.END]
    assert told(batches)[-1] == ("u", "2", "改")


async def test_a_state_that_is_newer_than_kafka_is_published_whole_once_more(dumps: DumpFolder) -> None:
    dumps.drop("people-1.csv", {"1": "甲"})
    await dumps.take()
    older = dumps.position
    dumps.drop("people-2.csv", {"1": "甲", "2": "乙"})
    await dumps.take()
    units = set(dumps.names("done"))
    dumps.position = older

    batches = await dumps.take()

    assert brackets(batches) == [Snapshot.BEGIN, Snapshot.END]
    assert told(batches) == [("r", "1", "甲"), ("r", "2", "乙")]
    assert batches[0].unit.startswith("00000003-"), "no number is ever given twice"
    assert set(dumps.names("done")) == units


async def test_a_position_that_nobody_knows_is_mended_too(dumps: DumpFolder) -> None:
    dumps.drop("people-1.csv", {"1": "甲"})
    await dumps.take()
    dumps.position = Position("00000041-somewhere", 7)

    batches = await dumps.take()

    assert told(batches) == [("r", "1", "甲")]
    assert batches[0].unit.startswith("00000042-")


async def test_a_new_snapshot_that_an_operator_asks_for_is_of_what_is_known(dumps: DumpFolder) -> None:
    dumps.drop("people-1.csv", {"1": "甲", "2": "乙"})
    await dumps.take()
    dumps.position = None

    assert told(await dumps.take()) == [("r", "1", "甲"), ("r", "2", "乙")]


class Killed(BaseException):
    """As `kill -9`: nothing behind it runs."""


STEPS = ["rename", "replace", "fsync", "unlink", "mkdir"]


@pytest.mark.parametrize("step", range(1, 27))
async def test_a_stop_between_any_two_steps_on_disk_is_mended(
    dumps: DumpFolder, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumps.drop("people-1.csv", {"1": "甲", "2": "乙"})
    await dumps.take()
    dumps.drop("people-2.csv", f"{HEADER}\n1,改,30\n2,乙,x\n3,丙,30\n")
    published = await dumps.take(acknowledge=False)  # on its way: nothing of it is durable on Kafka
    for path in dumps.state.glob("*-00000002*"):
        path.unlink()
    count = 0

    def counted(real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            nonlocal count
            count += 1
            if count >= step:
                raise Killed
            return real(*arguments, **named)

        return call

    with monkeypatch.context() as patched:
        for name in STEPS:
            patched.setattr(os, name, counted(getattr(os, name)))
        with contextlib.suppress(Killed):
            await dumps.take()
    # The bus has nothing of the second dump, or all of it and its acknowledgement was cut; then a third dump comes.
    assert dumps.position is not None
    durable = dumps.position.unit.startswith("00000002")
    dumps.drop("people-3.csv", f"{HEADER}\n1,改,30\n2,乙,30\n3,丁,30\n")
    again = await dumps.take(1 if durable else 2)

    second = [batch for batch in again if batch.unit.startswith("00000002")]
    assert identities(second) == ([] if durable else identities(published))
    assert told([batch for batch in again if batch not in second]) == [("u", "3", "丁")]
    names = ["00000001.people-1.csv", "00000002.people-2.csv", "00000003.people-3.csv"]
    assert dumps.names("done") == names
    assert dumps.names() == []
    files = sorted(path.name for path in dumps.state.iterdir() if path.is_file())
    assert files == ["lock", "rows-00000003", "state.json"]
