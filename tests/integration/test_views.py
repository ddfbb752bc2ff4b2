"""Filtered views on a real Kafka, from shared on: who moves, who comes later, what goes away."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from typing import TYPE_CHECKING, Any, Self

import pytest

from bus import wire
from bus.catalogue.workspace import default_workspace
from bus.config import Settings
from bus.demo.proof import hide_phone
from bus.kafka import clients
from bus.kafka.admin import Admin
from bus.kafka.embedded import EmbeddedKafka
from bus.kafka.partitions import partition_of
from bus.kafka.registry_client import SchemaRegistry
from bus.pipeline.codec import encoder
from bus.pipeline.transaction import MAX_TOPICS
from bus.testing.districts import Districts, of_district, told, topic_of
from bus.testing.processes import BusProcesses
from bus.testing.registry_thread import RegistryThread
from bus.testing.topics import read_topic
from bus.testing.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from types import TracebackType

SHARED = "shared.population.person"
MEMBERS = "_bus.members.population.person"
DOWNTOWN, LAKESIDE, WOODS = "320508", "320506", "320507"
PHONE = "13800138000"


class Residents:
    """Writes people to shared as normalising would, and knows who lives where."""

    def __init__(self, settings: Settings) -> None:
        self.people: dict[str, dict[str, Any]] = {}
        self._settings = settings
        self._written = 0

    async def __aenter__(self) -> Self:
        schema = json.loads((default_workspace() / "population" / "person.avsc").read_text("utf-8"))
        async with SchemaRegistry(self._settings.registry_url) as registry:
            self._encode = encoder(await registry.register(wire.subject(SHARED), schema), schema)
        self._producer = clients.producer(self._settings.kafka, linger_ms=5)
        await clients.start(self._producer, self._settings.kafka)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await clients.stop(self._producer)

    async def live_in(self, division: str, *names: str) -> None:
        """They are registered there from now on, wherever they were before."""
        for name in names:
            self.people[name] = {
                "id_number": name,
                "full_name": "王伟",
                "phone": hide_phone(PHONE),
                "division_code": division,
            }
            person = dict.fromkeys(("ethnicity", "registered_address", "residence_address", "remark"))
            moment = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
            person |= {"sex": "1", "birth_date": dt.date(1990, 3, 7), "updated_at": moment}
            await self._write(name, self._encode(person | self.people[name] | {"phone": PHONE}))
        await self._producer.flush()

    async def leave(self, *names: str) -> None:
        """They are gone from the register."""
        for name in names:
            self.people.pop(name, None)
            await self._write(name, None)
        await self._producer.flush()

    async def _write(self, name: str, value: bytes | None) -> None:
        self._written += 1
        event = wire.CloudEvent(
            f"0/{self._written:X}/1/m1", "population.person.v1", "urn:shuniu:t:x:y", "2026-03-01T00:00:00Z"
        )
        key = name.encode()
        await self._producer.send(SHARED, value, key=key, partition=partition_of(key, 8), headers=event.headers())


class Hall:
    """A cluster with the districts' workspace; a worker is started by each test."""

    def __init__(self, settings: Settings, folder: Path, processes: BusProcesses) -> None:
        self.settings = settings
        self.districts = Districts(folder, settings)
        self.residents = Residents(settings)
        self._processes = processes

    def worker(self) -> Any:
        return self._processes.start(self.settings, "worker")

    async def settled(self, *divisions: str, revision: int = 1) -> None:
        for division in divisions:
            await self.districts.settled(division, self.residents.people, revision)


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncIterator[Hall]:
    with EmbeddedKafka(tmp_path / "kafka") as kafka, BusProcesses(tmp_path) as processes:
        settings = Settings.load({}, bootstrap=kafka.bootstrap)
        with RegistryThread(settings.kafka) as registry:
            found = Hall(settings.model_copy(update={"registry_url": registry.url}), tmp_path, processes)
            await found.districts.subscribe()
            async with found.residents:
                yield found


def names(count: int, start: int = 0) -> list[str]:
    return [f"person-{number:05}" for number in range(start, start + count)]


async def test_a_resident_who_moves_leaves_one_district_and_enters_the_other(hall: Hall) -> None:
    await hall.districts.subscribe(DOWNTOWN, LAKESIDE, WOODS)
    hall.worker()
    await hall.residents.live_in(DOWNTOWN, "li", "wang")
    await hall.settled(DOWNTOWN)
    await hall.residents.live_in(LAKESIDE, "li")
    await hall.residents.leave("wang", "nobody")
    await hall.settled(DOWNTOWN, LAKESIDE)

    there, here = [await hall.districts.records(each) for each in (DOWNTOWN, LAKESIDE)]
    in_order = sorted(there, key=lambda record: record.key)  # of one key; two keys have none
    assert [(record.key, record.value is None) for record in in_order] == [
        (b"li", False),
        (b"li", True),
        (b"wang", False),
        (b"wang", True),
    ]
    assert [(record.key, record.value is None) for record in here] == [(b"li", False)]
    assert await hall.districts.records(WOODS) == []
    whole = [record.key for record in await read_topic(hall.settings, "view.portal-person.v1") if record.value is None]
    assert sorted(whole) == [b"nobody", b"wang"]


async def test_a_view_that_comes_later_is_filled_while_people_move_and_a_worker_is_killed(hall: Hall) -> None:
    first = hall.worker()
    residents = hall.residents
    await residents.live_in(DOWNTOWN, *names(24_000))
    await residents.live_in(LAKESIDE, *names(2_000, 1_000))
    await residents.leave(*names(500, 500))
    await until(lambda: offsets_reached(hall), within=60, what="all routed to the portal")

    await hall.districts.subscribe(DOWNTOWN, LAKESIDE)
    await until(lambda: anything_in(hall, DOWNTOWN), within=30, what="the first people in the new view")
    await residents.live_in(WOODS, *names(300, 4_000))
    first.kill()
    assert await filling(hall), "it was killed while it filled, not before or after"
    await residents.live_in(DOWNTOWN, *names(300, 2_000))
    await residents.leave(*names(300, 5_000))
    hall.worker()
    await residents.live_in(DOWNTOWN, *names(10, 30_000))

    await hall.settled(DOWNTOWN, LAKESIDE)
    await until(lambda: filled(hall), within=30, what="the views are told to be live")


async def offsets_reached(hall: Hall) -> bool:
    """Whether the portal's view has as many records as shared."""
    counts = await asyncio.to_thread(Admin(hall.settings.kafka).committed, "_bus.route")
    ends = {("shared.population.person", number): 0 for number in range(8)}
    for record in await read_topic(hall.settings, SHARED, decode=False):
        ends[SHARED, record.partition] = record.offset + 1
    return all(counts[place] >= end for place, end in ends.items())


async def anything_in(hall: Hall, division: str) -> bool:
    return bool(await hall.districts.records(division))


async def progress(hall: Hall) -> list[dict[str, Any]]:
    """How far each view is filled, partition by partition, as the lanes keep it."""
    kept: dict[tuple[bytes, int], Any] = {}
    for record in await read_topic(hall.settings, MEMBERS, decode=False):
        if record.key.startswith(b"\xffview"):
            kept[record.key, record.partition] = json.loads(record.raw or b"{}")
    return list(kept.values())


async def filled(hall: Hall) -> bool:
    return [each["state"] for each in await progress(hall)] == ["live"] * 3 * 8


async def filling(hall: Hall) -> list[int]:
    """Where the scans stand that have not come to their end."""
    return [each["next"] for each in await progress(hall) if each["state"] == "filling" and each["next"]]


async def test_a_second_revision_is_filled_beside_the_first_which_goes_with_its_subscription(hall: Hall) -> None:
    hall.worker()
    await hall.districts.subscribe(DOWNTOWN)
    await hall.residents.live_in(DOWNTOWN, *names(50))
    await hall.residents.live_in(LAKESIDE, *names(10, 20))
    await hall.settled(DOWNTOWN)

    await hall.districts.subscribe(DOWNTOWN, revisions=(1, 2))
    await hall.settled(DOWNTOWN, revision=2)
    await hall.residents.live_in(DOWNTOWN, *names(10, 15))
    await hall.settled(DOWNTOWN, revision=1)
    await hall.settled(DOWNTOWN, revision=2)

    await hall.districts.subscribe(DOWNTOWN, revisions=(2,))
    assert topic_of(DOWNTOWN, 1) not in await asyncio.to_thread(Admin(hall.settings.kafka).topics)
    await hall.residents.live_in(LAKESIDE, *names(10, 15))
    await hall.settled(DOWNTOWN, revision=2)


async def test_a_view_whose_topic_is_deleted_under_the_lanes_stops_nobody_and_is_filled_anew(hall: Hall) -> None:
    hall.worker()
    await hall.districts.subscribe(DOWNTOWN, LAKESIDE)
    await hall.residents.live_in(DOWNTOWN, *names(50))
    await hall.settled(DOWNTOWN)

    await asyncio.to_thread(Admin(hall.settings.kafka).delete_topics, [topic_of(DOWNTOWN)])
    await hall.residents.live_in(DOWNTOWN, *names(10, 60))
    await hall.residents.live_in(LAKESIDE, *names(10, 70))
    await hall.settled(LAKESIDE)

    await hall.districts.subscribe(DOWNTOWN, LAKESIDE)
    await hall.settled(DOWNTOWN, LAKESIDE)
    assert of_district(hall.residents.people, DOWNTOWN) == told(await hall.districts.records(DOWNTOWN), DOWNTOWN)


@pytest.mark.timeout(300)
async def test_more_districts_than_a_transaction_may_write_to(hall: Hall) -> None:
    divisions = [f"32{number:04}" for number in range(MAX_TOPICS + 10)]
    await hall.districts.subscribe(*divisions)
    hall.worker()
    for number, division in enumerate(divisions):
        await hall.residents.live_in(division, *names(5, 5 * number))
    for number, division in enumerate(divisions[1:]):
        await hall.residents.live_in(division, *names(2, 5 * number))

    await hall.settled(*divisions[::30], divisions[-1])
    await until(lambda: offsets_reached(hall), within=180, what="all routed")
    moved_on = [await hall.districts.records(each) for each in divisions[1:-1:50]]
    assert [sum(record.value is None for record in records) for records in moved_on] == [2] * len(moved_on)
