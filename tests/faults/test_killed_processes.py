"""`kill -9` of the worker and of the adapter under load: nothing is lost, doubled, reordered; data flows again soon."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from bus.testing.fault_proxy import FaultProxy
from bus.testing.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from bus.children import BusProcess
    from bus.testing.city import City
    from tests.faults.conftest import Measured

RATE = 200.0


async def kill_at_random_points(
    city: City, start: Callable[[], BusProcess], process: BusProcess, kills: int, measured: Measured
) -> None:
    """Kill it, each time after a random number of further changes has come through; start it again at once."""
    chance = random.Random(kills)
    async with city.load(RATE):
        for _ in range(kills):
            wanted = city.portal.received + chance.randrange(20, 400)
            await until(lambda wanted=wanted: city.portal.received >= wanted, within=20, what="load")  # type: ignore[misc]
            process.kill()
            process = start()
            measured(await city.flows_again())


async def test_a_worker_killed_again_and_again_loses_and_doubles_nothing(city: City, measured: Measured) -> None:
    worker = city.worker()
    city.adapter()
    await city.settled()

    await kill_at_random_points(city, city.worker, worker, 3, measured)

    await city.prove()


async def test_an_adapter_killed_again_and_again_loses_and_doubles_nothing(city: City, measured: Measured) -> None:
    city.worker()
    adapter = city.adapter()
    await city.settled()

    await kill_at_random_points(city, city.adapter, adapter, 4, measured)

    await city.prove()


@pytest.mark.parametrize("city", [4_000], indirect=True)
async def test_an_adapter_killed_in_its_first_snapshot_begins_it_anew(city: City) -> None:
    city.worker()
    async with FaultProxy("127.0.0.1", city.postgres.port) as proxy:
        proxy.stall_after = 700_000  # of the 1.2 MB of the snapshot
        adapter = city.adapter(port=proxy.port)
        await until(lambda: city.portal.received > 0, within=30, what="the first rows of the snapshot")
        assert proxy.stall_after is None
        adapter.kill()
    assert city.portal.received < 4_000 * 0.9

    city.adapter()
    await city.settled()
    async with city.load(RATE):
        await city.flows_again()

    await city.prove()


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_twenty_kills_of_the_worker(city: City, measured: Measured) -> None:
    worker = city.worker()
    city.adapter()
    await city.settled()

    await kill_at_random_points(city, city.worker, worker, 20, measured)

    await city.prove()


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_forty_kills_of_the_adapter(city: City, measured: Measured) -> None:
    city.worker()
    adapter = city.adapter()
    await city.settled()

    await kill_at_random_points(city, city.adapter, adapter, 40, measured)

    await city.prove()
