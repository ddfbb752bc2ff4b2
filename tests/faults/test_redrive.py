"""`kill -9` of the worker in the middle of a redrive, under load: the next owner goes on, and nothing is doubled."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from bus.pipeline.rejects import RejectStates
from bus.testing.topics import TopicRecord, read_topic
from bus.testing.waiting import until
from tests.rejects_office import DATASET, DLQ, RAW, SHARED, VIEW, Office, reject_office

if TYPE_CHECKING:
    from pathlib import Path

PEOPLE = 16_000


async def some_move(office: Office, stop: asyncio.Event) -> None:
    """The department's application goes on: good changes of people whose last one was rejected, and bad ones."""
    chance = random.Random(PEOPLE)
    while not stop.is_set():
        people = chance.sample(range(PEOPLE), 10)
        await office.publish_all([(serial, chance.choice("1甲"), "王伟", "u") for serial in people])


async def begun(states: RejectStates) -> bool:
    """Whether some lane has taken up some rejects, and some lane is not done."""
    await states.more()
    answers = [answer for lanes in states.answers.values() for answer in lanes.values()]
    return any(answer.worked for answer in answers) and not all(answer.done for answer in answers)


def numbers(records: list[TopicRecord]) -> dict[bytes, list[int]]:
    """Key → the numbers of the changes that its records were made of, in their order."""
    found: dict[bytes, list[int]] = {}
    for record in records:
        found.setdefault(record.key, []).append(int(record.event_id.split("/")[1]))
    return found


async def test_a_worker_killed_in_a_redrive_leaves_nothing_behind_and_doubles_nothing(tmp_path: Path) -> None:
    async with reject_office(tmp_path) as office:
        first = office.worker()
        await office.publish_all([(serial, "甲", "王伟", "u") for serial in range(PEOPLE)])
        await office.until_open(PEOPLE)
        await office.mend("甲")

        stop = asyncio.Event()
        load = asyncio.create_task(some_move(office, stop))
        redrive = asyncio.create_task(office.redrive("--patience", "60s"))
        async with RejectStates(office.settings.kafka, ["gongan"]) as states:
            await until(lambda: begun(states), within=60, what="the redrive has begun")
            first.kill()
        assert await office.open_rejects() > 0, "it was killed in the middle, not at the end"
        office.worker()
        told = await redrive
        stop.set()
        await load

        assert told["redriven"] + told["superseded"] == told["matched"] <= PEOPLE
        raw = numbers(await read_topic(office.settings, RAW))

        async def settled() -> bool:
            held = [numbers(await read_topic(office.settings, topic)) for topic in (SHARED, VIEW)]
            return all({key: each[-1] for key, each in one.items()} == newest for one in held)

        newest = {key: each[-1] for key, each in raw.items()}
        await until(settled, within=60, what="shared and view hold everybody's newest change")
        letters = len(await read_topic(office.settings, DLQ, decode=False))
        assert await office.counts() == {"redriven": told["redriven"], "superseded": letters - told["redriven"]}
        for topic in (SHARED, VIEW):
            for key, each in numbers(await read_topic(office.settings, topic)).items():
                assert each == sorted(set(each)), f"{topic}: a record of {key!r} twice, or an older after a newer one"
        assert (await office.redrive())["matched"] == 0
        assert DATASET in await office.bus("dlq", "ls")
