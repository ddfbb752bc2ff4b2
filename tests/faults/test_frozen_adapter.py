"""An adapter that stood still for longer than its transaction may stay open goes on; of two, one survives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bus.testing.waiting import until

if TYPE_CHECKING:
    from bus.testing.city import City
    from tests.faults.conftest import Measured

RATE = 200.0
FROZEN_SECONDS = 13
"""The broker ends an open transaction after 10 s, looking every second or so."""


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_an_adapter_frozen_in_a_transaction_goes_on_when_it_wakes(city: City, measured: Measured) -> None:
    city.worker()
    adapter = city.adapter()
    await city.settled()

    async with city.load(RATE):
        for _ in range(5):
            adapter.freeze()
            changes = city.register.changes + FROZEN_SECONDS * RATE
            await until(lambda changes=changes: city.register.changes > changes, within=60, what="load")  # type: ignore[misc]
            adapter.thaw()
            measured(await city.flows_again())

    await city.prove()
    assert adapter.is_running


async def test_of_two_adapters_the_later_one_reads_and_the_other_ends_with_a_reason(city: City) -> None:
    city.worker()
    first = city.adapter()
    await city.settled()

    async with city.load(RATE):
        second = city.adapter()
        await until(lambda: not first.is_running, within=20, what="the first has ended")
        await city.flows_again()

    assert second.is_running
    assert "Another process has taken over this work" in first.text()
    await city.prove()
