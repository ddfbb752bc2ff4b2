"""A consumer that fetches together: partitions without news do not keep those with news waiting."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from bus.kafka import clients
from bus.kafka.admin import Admin, NewTopic

if TYPE_CHECKING:
    from collections.abc import Callable

    from bus.config import Connection

HELD_BACK_MS = 5_000
"""How long the broker holds a fetch back that finds nothing."""


async def test_what_comes_to_a_busy_partition_does_not_wait_for_the_quiet_ones(
    kafka_connection: Connection, unique: Callable[[str], str]
) -> None:
    busy, quiet = unique("busy"), unique("quiet")
    await asyncio.to_thread(Admin(kafka_connection).create_topics, [NewTopic(busy, 1, {}), NewTopic(quiet, 1, {})])
    producer = clients.producer(kafka_connection)
    consumer = clients.consumer(kafka_connection, auto_offset_reset="earliest", fetch_max_wait_ms=HELD_BACK_MS)
    async with clients.started(producer, kafka_connection), clients.started(consumer, kafka_connection):
        clients.fetch_together(consumer)
        consumer.assign([clients.TopicPartition(busy, 0), clients.TopicPartition(quiet, 0)])
        await producer.send_and_wait(busy, b"one")
        await asyncio.sleep(1.0)  # it is fetched, and nobody takes it: by default the quiet one would be fetched alone
        assert await consumer.getmany(timeout_ms=1_000)
        await producer.send_and_wait(busy, b"two")

        asked = time.monotonic()
        assert await consumer.getmany(timeout_ms=2 * HELD_BACK_MS)

    assert time.monotonic() - asked < HELD_BACK_MS / 2000
