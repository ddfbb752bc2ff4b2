"""What clients ask the cluster about: the topics that they have to do with."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bus.kafka import clients
from bus.kafka.admin import Admin, NewTopic

if TYPE_CHECKING:
    from collections.abc import Callable

    from bus.config import Connection


async def test_a_producer_asks_for_the_topics_that_it_writes_to_and_for_no_others(
    kafka_connection: Connection, unique: Callable[[str], str]
) -> None:
    ours, others = unique("ours"), unique("others")
    await asyncio.to_thread(Admin(kafka_connection).create_topics, [NewTopic(ours, 1, {}), NewTopic(others, 1, {})])
    producer = clients.producer(kafka_connection, unique("writer"))
    async with clients.started(producer, kafka_connection):
        known = producer.client.cluster

        assert await producer.client.force_metadata_update()
        assert not known.topics()
        assert known.brokers()

        async with producer.transaction():
            await producer.send_and_wait(ours, b"one")
        assert await producer.client.force_metadata_update()
        assert known.topics() == {ours}
        assert await clients.missing_topics(producer, [ours]) == set()


async def test_a_producer_that_has_written_nothing_yet_finds_the_broker_again(
    kafka_connection: Connection, unique: Callable[[str], str]
) -> None:
    topic = unique("late")
    await asyncio.to_thread(Admin(kafka_connection).create_topics, [NewTopic(topic, 1, {})])
    producer = clients.producer(kafka_connection, unique("writer"))
    async with clients.started(producer, kafka_connection):
        for connection in [*producer.client._conns.values()]:  # as if the broker had closed them
            connection.close()

        async with producer.transaction():
            sent = await producer.send_and_wait(topic, b"one")

    assert sent.offset == 0
