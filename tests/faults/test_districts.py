"""Residents move from district to district while things break: each has exactly its own, and heard of nobody else.

What a district must hold is worked out from the register's journal (`bus.demo.proof`), filtered and projected by
`bus.testing.districts`; neither shares code with the data path.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from bus.demo.city import valid_divisions
from bus.demo.people import DIVISIONS
from bus.demo.proof import expected_state
from bus.testing.districts import Districts, topic_of
from bus.testing.waiting import until
from tests.faults.test_killed_processes import kill_at_random_points

if TYPE_CHECKING:
    from pathlib import Path

    from bus.testing.city import City
    from tests.faults.conftest import Measured

RATE = 150.0
DISTRICTS = sorted(DIVISIONS)


@pytest.fixture
def districts(city: City, tmp_path: Path) -> Districts:
    return Districts(tmp_path, city.settings)


async def prove(city: City, districts: Districts, *some: str) -> None:
    """The whole way is right, and so is each district's view."""
    await city.prove()
    people = expected_state(await city.register.journal(), valid_divisions())
    for division in some:
        await districts.settled(division, people)


async def moved(districts: Districts, division: str) -> bool:
    """Whether somebody has left the district."""
    return any(record.value is None for record in await districts.records(division))


async def test_residents_move_while_the_worker_is_killed(city: City, districts: Districts, measured: Measured) -> None:
    await districts.subscribe(*DISTRICTS)
    worker = city.worker()
    city.adapter()
    await city.settled()

    await kill_at_random_points(city, city.worker, worker, 3, measured)

    await prove(city, districts, *DISTRICTS)
    assert await moved(districts, DISTRICTS[0]), "nobody moved: this proves nothing"


async def test_residents_move_while_the_broker_is_killed(city: City, districts: Districts, measured: Measured) -> None:
    await districts.subscribe(*DISTRICTS)
    city.worker()
    city.adapter()
    await city.settled()

    async with city.load(RATE):
        await city.flows_again()
        await asyncio.to_thread(city.kafka.kill)
        await asyncio.to_thread(city.kafka.start)
        measured(await city.flows_again(within=30))

    await prove(city, districts, *DISTRICTS)


@pytest.mark.parametrize("city", [6_000], indirect=True)
async def test_a_worker_killed_while_it_fills_new_views_under_load(
    city: City, districts: Districts, measured: Measured
) -> None:
    worker = city.worker()
    city.adapter()
    await city.settled(within=60)

    chance = random.Random(5)
    async with city.load(RATE):
        for number in range(1, 4):
            await districts.subscribe(*DISTRICTS[: 3 * number])
            await until(lambda: filling_began(districts, DISTRICTS[3 * number - 1]), within=30, what="filling")  # noqa: B023
            wanted = city.portal.received + chance.randrange(60)
            await until(lambda: city.portal.received >= wanted, within=20, what="load")  # noqa: B023
            worker.kill()
            worker = city.worker()
            measured(await city.flows_again())

    await prove(city, districts, *DISTRICTS)


async def filling_began(districts: Districts, division: str) -> bool:
    return bool(await districts.records(division))


async def test_views_made_and_removed_under_load_disturb_nobody(
    city: City, districts: Districts, measured: Measured
) -> None:
    await districts.subscribe(DISTRICTS[0])
    worker = city.worker()
    city.adapter()
    await city.settled()

    async with city.load(RATE):
        for _ in range(2):
            await districts.subscribe(*DISTRICTS[:4])
            await until(lambda: filling_began(districts, DISTRICTS[3]), within=30, what="filling")
            await districts.subscribe(DISTRICTS[0])
            measured(await city.flows_again())
        await districts.subscribe(*DISTRICTS[:2])

    await prove(city, districts, *DISTRICTS[:2])
    assert worker.is_running
    assert topic_of(DISTRICTS[2]) not in await asyncio.to_thread(topics, city)


def topics(city: City) -> set[str]:
    from bus.kafka.admin import Admin

    return set(Admin(city.settings.kafka).topics())
