"""Dumps through the adapter's runtime onto a real Kafka: exactly once, whole after a cut, rejects told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from bus.config import Settings
from bus.pipeline.sweep import TooManyDeletionsError
from bus.testing.waiting import until
from tests.files_folder import HEADER, DumpFolder
from tests.integration.conftest import Bus

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bus.config import Connection
    from bus.testing.topics import TopicRecord

MANY: dict[str, str | None] = {f"n{number:05d}": "王伟" for number in range(12_000)}


@pytest.fixture
def dumps(tmp_path: Path, unique: Callable[[str], str]) -> DumpFolder:
    return DumpFolder(tmp_path, unique("files"))


@pytest.fixture
async def bus(dumps: DumpFolder, kafka_connection: Connection, registry_url: str) -> Bus:
    settings = Settings(kafka=kafka_connection, registry_url=registry_url, bus_id="tests")
    made = Bus(settings, cast("Any", dumps), "people", ("number",))
    await made.create()
    return made


async def done(dumps: DumpFolder, count: int) -> None:
    await until(lambda: len(dumps.names("done")) == count, within=30, what=f"{count} dumps in done/")


def names(state: dict[str, Any]) -> dict[str, str | None]:
    return {key: row["name"] for key, row in state.items()}


def told(records: list[TopicRecord]) -> list[tuple[str, str]]:
    return sorted((record.value["op"], record.key.decode()) for record in records)


async def test_a_dump_is_done_when_its_events_are_on_kafka(dumps: DumpFolder, bus: Bus) -> None:
    dumps.drop("people-1.csv", {"1": "甲", "2": "乙"})
    async with bus.run():
        await done(dumps, 1)
        assert told(await bus.raw()) == [("r", "1"), ("r", "2")]
        dumps.drop("people-2.csv", {"2": "改", "3": "丙"})
        await done(dumps, 2)
        records = await bus.raw()

    assert told(records[:]) == [("c", "3"), ("d", "1"), ("r", "1"), ("r", "2"), ("u", "2")]
    changed = [record.value for record in records if record.value["op"] != "r"]
    assert {each["transaction"] for each in changed} == {changed[0]["position"].partition("/")[0]}
    assert [each["last"] for each in sorted(changed, key=lambda each: each["position"])] == [False, False, True]
    assert names(await bus.state()) == {"2": "改", "3": "丙"}


async def test_a_second_adapter_of_the_name_waits_and_the_first_goes_on(dumps: DumpFolder, bus: Bus) -> None:
    dumps.drop("people-1.csv", {"1": "甲"})
    async with bus.run() as first:
        await done(dumps, 1)
        async with bus.run() as second:
            await until(lambda: second.runtime.counts.state == "waiting", within=30, what="the second waits")
            dumps.drop("people-2.csv", {"1": "改"})
            await done(dumps, 2)
            assert first.runtime.counts.failures == second.runtime.counts.failures == 0
            assert second.runtime.heart.last == 0, "it speaks in place of the first"

            first.task.cancel()
            dumps.drop("people-3.csv", {"1": "新"})
            await done(dumps, 3)

    assert told(await bus.raw()) == [("r", "1"), ("u", "1"), ("u", "1")]


async def test_a_folder_that_is_gone_for_a_while_is_waited_for(dumps: DumpFolder, bus: Bus) -> None:
    dumps.drop("people-1.csv", {"1": "甲", "2": "乙"})
    async with bus.run() as running:
        await done(dumps, 1)
        away = dumps.folder.with_name("away")
        dumps.folder.rename(away)
        await until(lambda: running.runtime.counts.failures >= 3, within=30, what="it has tried again")
        assert (running.runtime.counts.state, dumps.folder.exists()) == ("waiting", False)
        away.rename(dumps.folder)
        dumps.drop("people-2.csv", {"1": "改"})
        await done(dumps, 2)

    assert told(await bus.raw()) == [("d", "2"), ("r", "1"), ("r", "2"), ("u", "1")]


async def test_a_row_that_cannot_be_read_is_a_dead_letter_with_its_line(dumps: DumpFolder, bus: Bus) -> None:
    dumps.drop("people-1.csv", {"1": "甲", "2": "乙"})
    async with bus.run():
        await done(dumps, 1)
        dumps.drop("people-2.csv", f"{HEADER}\n1,甲,30\n2,乙,三十\n")
        await done(dumps, 2)

    (letter,) = await bus.dlq()
    assert letter.raw == "2,乙,三十".encode()
    assert letter.headers["bus_reject_reason"] == "people-2.csv line 3: age is not a long"
    assert (letter.headers["bus_reject_rule"], letter.headers["bus_reject_field"]) == ("type", "age")
    assert "乙" not in "".join(letter.headers.values())
    assert names(await bus.state()) == {"1": "甲", "2": "乙"}


@pytest.mark.parametrize("first", [{}, MANY])
async def test_what_was_cut_goes_on_where_it_was_and_deletes_nothing(
    dumps: DumpFolder, bus: Bus, first: dict[str, str | None]
) -> None:
    """A snapshot (`MANY` is the first dump), and the changes of a dump (it is the second)."""
    dumps.drop("people-1.csv", first)
    if not first:
        async with bus.run():
            await done(dumps, 1)
        dumps.drop("people-2.csv", MANY)
    async with bus.run() as running:
        await until(lambda: running.runtime.counts.changes >= 1_000, within=30, what="the first cut")
    between = len(await bus.raw())
    async with bus.run():
        await done(dumps, 1 if first else 2)
        records = await bus.raw()

    assert between < len(MANY), "it was cut before its end"
    assert len(records) == len({record.event_id for record in records}) == len(MANY)
    assert {record.value["op"] for record in records} == {"r" if first else "c"}


async def test_a_lost_state_is_mended_and_what_is_gone_is_deleted(dumps: DumpFolder, bus: Bus) -> None:
    dumps.drop("people-1.csv", {"1": "甲", "2": "乙", "3": "丙"})
    async with bus.run():
        await done(dumps, 1)
    for path in [*dumps.state.iterdir(), *(dumps.folder / "done").iterdir()]:
        path.unlink()
    dumps.drop("people-2.csv", {"1": "甲", "3": "改"})
    async with bus.run():
        await done(dumps, 1)

    assert names(await bus.state()) == {"1": "甲", "3": "改"}


async def test_a_lost_state_and_a_truncated_dump_do_not_delete_the_world(dumps: DumpFolder, bus: Bus) -> None:
    dumps.drop("people-1.csv", MANY)
    async with bus.run():
        await done(dumps, 1)
    for path in [*dumps.state.iterdir(), *(dumps.folder / "done").iterdir()]:
        path.unlink()
    dumps.drop("people-2.csv", {"n00001": "王伟"})
    async with bus.run() as running:
        with pytest.raises(TooManyDeletionsError) as refused:
            await running.task

    assert "--accept-deletions" in str(refused.value)
    assert len(await bus.state()) == len(MANY)
