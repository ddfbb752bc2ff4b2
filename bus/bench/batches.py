"""Records onto Kafka by aiokafka's public batch API: what the yardsticks and the fillers write with.

Not the pipeline's own way of writing: a yardstick must not change with what it measures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from bus.wire import Headers


class Record(NamedTuple):
    """A record to be written; a value of None deletes."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers


async def send(producer: Any, records: Iterable[Record], now_ms: int) -> list[asyncio.Future[Any]]:
    """Queue records in order per partition; the futures of their batches.

    Args:
        producer: an AIOKafkaProducer; inside a transaction, if it is transactional.
        records: what to send.
        now_ms: record timestamp, milliseconds since 1970.
    """
    open_batches: dict[tuple[str, int], Any] = {}
    full = []
    for topic, partition, key, value, headers in records:
        place = (topic, partition)
        batch = open_batches.get(place)
        if batch is None:
            batch = open_batches[place] = producer.create_batch()
        if batch.append(timestamp=now_ms, key=key, value=value, headers=headers) is None:
            full.append((place, batch))
            batch = open_batches[place] = producer.create_batch()
            batch.append(timestamp=now_ms, key=key, value=value, headers=headers)
    ready = [*full, *open_batches.items()]
    return [await producer.send_batch(batch, topic, partition=partition) for (topic, partition), batch in ready]
