"""The broker and the source database go away under load and come back: nothing is lost, doubled or reordered."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from bus.testing.city import City
    from tests.faults.conftest import Measured

RATE = 200.0

AFTER_A_BROKER = 30.0
"""Seconds from the return of a broker that was killed: it reads its logs anew beside those who come back to it."""


async def test_after_a_kill_of_the_broker_everything_goes_on(city: City, measured: Measured) -> None:
    worker, adapter = city.worker(), city.adapter()
    await city.settled()

    async with city.load(RATE):
        await city.flows_again()
        for _ in range(2):
            killed = time.time()
            await asyncio.to_thread(city.kafka.kill)
            await asyncio.to_thread(city.kafka.start)
            measured(await city.flows_again(since=killed, within=AFTER_A_BROKER))

    await city.prove()
    assert worker.is_running
    assert adapter.is_running


async def started(city: City) -> Any:
    """When the server process began."""
    async with await psycopg.AsyncConnection.connect(**city.postgres.parameters()) as connection:
        return await (await connection.execute("select pg_postmaster_start_time()")).fetchone()


async def test_after_a_restart_of_postgres_everything_goes_on(city: City, measured: Measured) -> None:
    city.worker()
    adapter = city.adapter()
    await city.settled()

    async with city.load(RATE):
        await city.flows_again()
        for way in (city.postgres.restart, city.postgres.kill):
            stopped = time.time()
            before = await started(city)
            await asyncio.to_thread(way)
            await asyncio.to_thread(city.postgres.start)
            assert await started(city) > before, "it is another server process"
            measured(await city.flows_again(since=stopped), way.__name__)

    await city.prove()
    assert adapter.is_running
