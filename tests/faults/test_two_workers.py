"""Two workers take lanes from each other: whoever owns a lane publishes, nobody else, and nothing twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bus.testing.waiting import until

if TYPE_CHECKING:
    from bus.children import BusProcess
    from bus.testing.city import City
    from tests.faults.conftest import Measured

RATE = 200.0
LANES = 16


def lanes(worker: BusProcess) -> set[int]:
    """The lanes that a worker said it owns, last."""
    told = [json.loads(line) for line in worker.text().splitlines() if '"lanes owned"' in line]
    return set(told[-1]["lanes"]) if told else set()


async def share(first: BusProcess, second: BusProcess) -> None:
    """Wait until each owns some lanes, and both together all."""

    def shared() -> bool:
        one, two = lanes(first), lanes(second)
        return bool(one and two) and len(one | two) == LANES and not one & two

    await until(shared, within=30, what="both workers own lanes")


async def test_a_second_worker_joins_and_takes_over_when_the_first_is_killed(city: City, measured: Measured) -> None:
    first = city.worker()
    city.adapter()
    await city.settled()

    async with city.load(RATE):
        second = city.worker()
        await share(first, second)
        measured(await city.flows_again(), "second joined")
        first.kill()
        measured(await city.flows_again(), "first killed")
        await until(lambda: len(lanes(second)) == LANES, within=20, what="the second owns all lanes")

    await city.prove()


async def test_a_frozen_worker_whose_lanes_were_taken_publishes_nothing_when_it_wakes(
    city: City, measured: Measured
) -> None:
    first = city.worker()
    city.adapter()
    await city.settled()

    async with city.load(RATE):
        second = city.worker()
        await share(first, second)
        for _ in range(2):
            first.freeze()
            await until(lambda: len(lanes(second)) == LANES, within=20, what="the second took the lanes")
            measured(await city.flows_again(), "frozen")
            first.thaw()
            await share(first, second)
            measured(await city.flows_again(), "thawed")

    await city.prove()
