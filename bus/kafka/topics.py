"""What a process that reads and writes needs to know of a topic, without the admin API's rights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bus.kafka import clients

if TYPE_CHECKING:
    from bus.config import Connection


async def partitions_of(connection: Connection, topic: str) -> int:
    """How many partitions a topic has.

    Raises:
        BrokerUnavailableError: no broker answered, or the topic does not exist.
    """
    reader = clients.consumer(connection)
    async with clients.started(reader, connection):
        return len(await clients.partitions(reader, topic, connection))
