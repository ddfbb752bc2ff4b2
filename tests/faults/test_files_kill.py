"""`kill -9` of the adapter of dumps at random points: every change is on raw exactly once, in order."""

from __future__ import annotations

import random
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from bus import wire
from bus.catalogue.apply import apply_workspace
from bus.config import Settings
from bus.kafka.compacted import CompactedTopic
from bus.pipeline.position import Progress
from bus.testing.topics import TopicRecord, read_topic
from bus.testing.waiting import until
from tests.files_folder import DumpFolder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bus.children import BusProcess
    from bus.config import Connection
    from bus.testing.processes import BusProcesses

Dump = dict[str, str | None]

WORKSPACE = """
kind: Workspace
metadata: {{name: {name}, title: dumps}}
---
kind: Department
metadata: {{name: {name}, title: dumps}}
spec: {{credit_code: 11320500DEMQ00018C, division: "320500"}}
---
kind: Dataset
metadata: {{name: {name}.people, title: people}}
spec:
  department: {name}
  source: {{adapter: files, config: {name}, name: people}}
  key: [number]
  share: {{type: unconditional}}
  update: {{within: 1d}}
"""

CONFIG = """
folder: {folder}
ready: rename
poll_seconds: 0.05
datasets:
  people:
    files: people*.csv
    key: [number]
    columns: {{编号: number, 姓名: name, 年龄: age}}
    types: {{age: long}}
    max_deletion_share: 0.9
"""


class Office:
    """A department with its folder, its adapter as a process, and a bus that takes its dumps."""

    def __init__(self, folder: Path, name: str, settings: Settings, processes: BusProcesses) -> None:
        self.dumps = DumpFolder(folder / "in", name)
        self.dumps.folder.mkdir()
        self.settings = settings
        self.topic = wire.raw_topic(f"{name}.people")
        self._folder = folder
        self._processes = processes
        self._config = folder / "config.yaml"
        self._config.write_text(CONFIG.format(folder=self.dumps.folder), encoding="utf-8")

    async def apply(self) -> None:
        workspace = self._folder / "workspace"
        workspace.mkdir()
        text = WORKSPACE.format(name=self.dumps.name)
        first, rest = text.split("---\n", 1)
        (workspace / "workspace.yaml").write_text(first, encoding="utf-8")
        (workspace / "people.yaml").write_text(rest, encoding="utf-8")
        await apply_workspace(workspace, self.settings)

    def start(self) -> BusProcess:
        return self._processes.start(self.settings, "adapter", "run", self.dumps.name, "--config", str(self._config))

    async def raw(self) -> list[TopicRecord]:
        return await read_topic(self.settings, self.topic)

    async def progress(self) -> Progress:
        async with CompactedTopic(self.settings.kafka, wire.positions_topic(self.dumps.name)) as positions:
            return Progress.of(positions.items.get(self.dumps.name))


@pytest.fixture
async def office(
    tmp_path: Path,
    unique: Callable[[str], str],
    kafka_connection: Connection,
    registry_url: str,
    bus_processes: BusProcesses,
) -> Office:
    settings = Settings(kafka=kafka_connection, registry_url=registry_url, bus_id="tests")
    made = Office(tmp_path, unique("o").replace("-", ""), settings, bus_processes)
    await made.apply()
    return made


def next_dump(last: Dump, chance: random.Random) -> Dump:
    """A third of the rows changes, some go, some come."""
    kept = {key: f"名{chance.randrange(10**6)}" if chance.random() < 0.3 else name for key, name in last.items()}
    for key in chance.sample(sorted(kept), len(kept) // 10):
        del kept[key]
    return kept | {f"n{chance.randrange(10**9):09d}": "新" for _ in range(len(last) // 10)}


def expected(dumps: list[Dump]) -> dict[str, list[tuple[str, str | None]]]:
    """Per key what raw must hold: the first dump as a snapshot, then each difference."""
    told: dict[str, list[tuple[str, str | None]]] = defaultdict(list)
    for key, name in dumps[0].items():
        told[key].append(("r", name))
    for old, new in pairwise(dumps):
        for key in old.keys() | new.keys():
            if key not in new:
                told[key].append(("d", None))
            elif key not in old:
                told[key].append(("c", new[key]))
            elif old[key] != new[key]:
                told[key].append(("u", new[key]))
    return dict(told)


def sequences(records: list[TopicRecord]) -> dict[str, list[tuple[str, Any]]]:
    """Per key what raw holds; each before-image is the row that was there."""
    told: dict[str, list[tuple[str, Any]]] = defaultdict(list)
    for record in records:
        value = record.value
        key = record.key.decode()
        before = told[key][-1][1] if told[key] else None
        if value["op"] in "ud":
            assert value["before"]["name"] == before
        told[key].append((value["op"], value["after"] and value["after"]["name"]))
    return dict(told)


async def kill_and_prove(office: Office, kills: int, dumps_count: int) -> None:
    chance = random.Random(kills)
    dumps: list[Dump] = [{f"n{number:09d}": "王伟" for number in range(6_000)}]
    office.dumps.drop("people-000.csv", dumps[0])
    for _ in range(1, dumps_count):
        dumps.append(next_dump(dumps[-1], chance))
    process = office.start()
    await until(lambda: len(office.dumps.names("done")) == 1, within=30, what="the first dump is done")
    dropped = 1
    for _ in range(kills):
        if dropped < len(dumps) and chance.random() < 0.8:
            office.dumps.drop(f"people-{dropped:03d}.csv", dumps[dropped])
            dropped += 1
        point = chance.choice(["at once", "state", "events", "done"])
        before = await office.progress()
        done = len(office.dumps.names("done"))
        if point == "state" and len(office.dumps.names()):
            await until(lambda: [*office.dumps.state.glob("unit-*")] or not office.dumps.names(), within=30)
        elif point == "events" and len(office.dumps.names()):
            await until(lambda before=before: _moved(office, before), within=30, what="some events")  # type: ignore[misc]
        elif point == "done" and len(office.dumps.names()):
            await until(lambda done=done: len(office.dumps.names("done")) > done, within=30)  # type: ignore[misc]
        process.kill()
        process = office.start()
    for number in range(dropped, len(dumps)):
        office.dumps.drop(f"people-{number:03d}.csv", dumps[number])
    await until(lambda: len(office.dumps.names("done")) == len(dumps), within=60, what="all dumps are done")

    records = await office.raw()
    told, wanted = sequences(records), expected(dumps)
    assert told.keys() == wanted.keys()
    assert [key for key in wanted if told[key] != wanted[key]] == []
    identities = [(record.event_id, record.key) for record in records]
    assert len(identities) == len(set(identities))
    final = {key: changes[-1][1] for key, changes in told.items() if changes[-1][0] != "d"}
    assert final == dumps[-1]
    assert office.dumps.names() == office.dumps.names("failed") == []
    assert process.is_running


async def _moved(office: Office, before: Progress) -> bool:
    return (await office.progress()).position != before.position


async def _has_rows(office: Office) -> bool:
    position = (await office.progress()).position
    return position is not None and position.row > 0


async def test_an_adapter_killed_again_and_again_loses_and_doubles_nothing(office: Office) -> None:
    await kill_and_prove(office, kills=6, dumps_count=5)


async def test_an_adapter_killed_in_its_first_snapshot_goes_on_in_it(office: Office) -> None:
    dump: Dump = {f"n{number:09d}": "王伟" for number in range(60_000)}
    office.dumps.drop("people-000.csv", dump)
    process = office.start()
    await until(lambda: _has_rows(office), within=30, what="the first rows")
    process.kill()
    cut = await office.progress()
    assert cut.position is not None
    assert 0 < cut.position.row < len(dump)

    office.start()
    await until(lambda: len(office.dumps.names("done")) == 1, within=60, what="the dump is done")

    assert sequences(await office.raw()) == expected([dump])


async def test_of_two_adapters_of_dumps_the_first_reads_and_the_later_one_waits_for_its_end(office: Office) -> None:
    first: Dump = {"n000000001": "王伟"}
    office.dumps.drop("people-000.csv", first)
    process = office.start()
    await until(lambda: len(office.dumps.names("done")) == 1, within=30, what="the first dump is done")
    second = office.start()
    await until(lambda: "another process uses the adapter's state" in second.text(), within=30, what="it says why")
    office.dumps.drop("people-001.csv", first | {"n000000002": "新"})
    await until(lambda: len(office.dumps.names("done")) == 2, within=30, what="the second dump is done")
    assert process.is_running

    process.kill()
    office.dumps.drop("people-002.csv", first)
    await until(lambda: len(office.dumps.names("done")) == 3, within=30, what="the third dump is done")

    assert second.is_running
    told = sequences(await office.raw())
    assert told == {"n000000001": [("r", "王伟")], "n000000002": [("c", "新"), ("d", None)]}


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_forty_kills_of_the_adapter_of_dumps(office: Office) -> None:
    await kill_and_prove(office, kills=40, dumps_count=25)
