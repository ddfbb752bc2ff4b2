"""The network between adapter and PostgreSQL is cut, or stands still: nothing is lost or doubled."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bus.testing.fault_proxy import FaultProxy
from bus.testing.waiting import until

if TYPE_CHECKING:
    from bus.testing.city import City
    from tests.faults.conftest import Measured

RATE = 200.0


async def test_cut_connections_are_made_anew(city: City, measured: Measured) -> None:
    city.worker()
    async with FaultProxy("127.0.0.1", city.postgres.port) as proxy:
        adapter = city.adapter(port=proxy.port)
        await city.settled()

        async with city.load(RATE):
            for _ in range(4):
                accepted = proxy.accepted
                proxy.cut()
                measured(await city.flows_again())
                assert proxy.accepted > accepted

        await city.prove()
        assert adapter.is_running


async def test_a_server_that_takes_no_connections_for_a_while_is_waited_for(city: City, measured: Measured) -> None:
    city.worker()
    async with FaultProxy("127.0.0.1", city.postgres.port) as proxy:
        adapter = city.adapter(port=proxy.port)
        await city.settled()

        async with city.load(RATE):
            proxy.refuse()
            proxy.cut()
            await until(lambda: adapter.text().count("adapter starts again") >= 2, within=15, what="two attempts")
            proxy.refuse(refusing=False)
            measured(await city.flows_again())

        await city.prove()


async def test_a_stalled_connection_goes_on_where_it_stood(city: City, measured: Measured) -> None:
    city.worker()
    async with FaultProxy("127.0.0.1", city.postgres.port) as proxy:
        city.adapter(port=proxy.port)
        await city.settled()

        async with city.load(RATE):
            proxy.stall()
            stalled = time.time()
            changes = city.register.changes
            await until(lambda: city.register.changes > changes + 400, within=20, what="load behind the stall")
            assert city.portal.newest < stalled + 1
            proxy.resume()
            measured(await city.flows_again())

        await city.prove()
