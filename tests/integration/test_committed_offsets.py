"""Committed offsets, asked of a broker that is still loading its groups: its answer without any does not say "none"."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka.protocol.commit import OffsetFetchRequest, OffsetFetchResponse_v3

from bus.kafka import clients
from bus.kafka.admin import Admin, NewTopic

if TYPE_CHECKING:
    from collections.abc import Callable

    from bus.config import Connection

LOADING, NOT_AVAILABLE, NOT_COORDINATOR = 14, 15, 16


class Loading:
    """Stands before a consumer's connection: the first requests for offsets are answered as such a broker does."""

    def __init__(self, consumer: Any, code: int, times: int) -> None:
        self.answered = 0
        self._send = consumer._client.send
        self._code = code
        self._times = times
        consumer._client.send = self.send

    async def send(self, node: Any, request: Any, **options: Any) -> Any:
        if isinstance(request, OffsetFetchRequest) and self.answered < self._times:
            self.answered += 1
            return OffsetFetchResponse_v3(throttle_time_ms=0, topics=[], error_code=self._code)
        return await self._send(node, request, **options)


@pytest.mark.parametrize("code", [LOADING, NOT_AVAILABLE, NOT_COORDINATOR])
async def test_a_coordinator_that_is_not_ready_is_asked_again(
    kafka_connection: Connection, unique: Callable[[str], str], code: int
) -> None:
    topic, group = unique("raw.scjg.companies"), unique("group")
    admin = Admin(kafka_connection)
    await asyncio.to_thread(admin.create_topics, [NewTopic(topic, 1)])
    await asyncio.to_thread(admin.set_committed, group, {(topic, 0): 7})
    place = clients.TopicPartition(topic, 0)
    consumer = clients.consumer(kafka_connection, group_id=group)
    async with clients.started(consumer, kafka_connection):
        consumer.assign([place])
        loading = Loading(consumer, code, times=2)

        assert await clients.committed(consumer, [place]) == {place: (7, "")}

        assert loading.answered == 2
