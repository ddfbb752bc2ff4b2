"""Subscribers that read while their rights change, and what Kafka says that they may do."""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from bus.kafka import clients
from bus.kafka.admin import client_settings
from bus.testing.guarded import SHARED_VIEW
from bus.testing.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bus.config import Settings
    from bus.testing.guarded import Guarded


def rights(bus: Guarded, principal: str) -> dict[str, set[str]]:
    """What Kafka itself says that a principal may do with each topic of the cluster; DESCRIBE comes with the others."""
    everything = AdminClient(client_settings(bus.settings.kafka)).list_topics(timeout=10).topics
    client = AdminClient(client_settings(bus.as_(principal).kafka))
    found: dict[str, set[str]] = {}
    described = client.describe_topics(TopicCollection(list(everything)), include_authorized_operations=True)
    for topic, future in described.items():
        try:
            operations = {operation.name for operation in future.result(10).authorized_operations}
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_AUTHORIZATION_FAILED:
                raise
            continue
        found[topic] = operations - {"DESCRIBE"}
    return found


class Following:
    """A subscriber's live consumer, that goes on asking after it was refused."""

    def __init__(self) -> None:
        self.received: list[tuple[int, float]] = []
        """Number of each record, and when it came."""
        self.refused_at = 0.0

    async def run(self, settings: Settings, topic: str, group: str) -> None:
        consumer = clients.consumer(settings.kafka, topic, group_id=group, auto_offset_reset="earliest")
        async with clients.started(consumer, settings.kafka):
            while True:
                try:
                    polled = await consumer.getmany(timeout_ms=200)
                except clients.NOT_ENTITLED:
                    self.refused_at = self.refused_at or time.time()
                    await asyncio.sleep(0.02)
                    continue
                now = time.time()
                self.received += [(int(r.value), now) for records in polled.values() for r in records]


class Writing:
    """Numbered records on a view, without end."""

    def __init__(self) -> None:
        self.written: list[float] = []
        """When each was acknowledged."""

    async def run(self, settings: Settings, topic: str) -> None:
        producer = clients.producer(settings.kafka)
        async with clients.started(producer, settings.kafka):
            for number in itertools.count():
                await producer.send_and_wait(topic, str(number).encode(), key=str(number).encode())
                self.written.append(time.time())
                await asyncio.sleep(0.005)


class Live:
    """`tax` and the portal both follow the portal's view, on which records keep coming."""

    def __init__(self) -> None:
        self.tax, self.portal, self.writing = Following(), Following(), Writing()

    async def see_that_only_tax_was_cut_off(self) -> None:
        """Records keep coming, and the portal gets each one."""
        enough = len(self.writing.written) + 200
        await until(lambda: len(self.portal.received) > enough, within=20, what="records keep coming for the other")
        last, _ = max(self.tax.received)
        refused = self.tax.refused_at
        assert self.writing.written[last] <= refused, "nothing that was written after the cut was delivered"
        assert max(at for _, at in self.tax.received) <= refused, "nor anything else"
        numbers = sorted(number for number, _ in self.portal.received)
        assert numbers == list(range(len(numbers))), "the other misses none"
        assert not self.portal.refused_at


@asynccontextmanager
async def both_follow(bus: Guarded) -> AsyncIterator[Live]:
    """Both subscribers, receiving."""
    live = Live()
    tasks = [
        asyncio.create_task(live.tax.run(bus.as_("tax"), SHARED_VIEW, "tax.live")),
        asyncio.create_task(live.portal.run(bus.as_("portal"), SHARED_VIEW, "portal.live")),
        asyncio.create_task(live.writing.run(bus.settings, SHARED_VIEW)),
    ]
    try:
        await until(
            lambda: len(live.tax.received) > 50 and len(live.portal.received) > 50, within=20, what="both receive"
        )
        yield live
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
