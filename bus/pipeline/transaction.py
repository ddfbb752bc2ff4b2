"""Outputs and positions in one Kafka transaction: the only way in which the data path writes.

aiokafka's public batch API is used (`create_batch`, `send_batch`): no future per record.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from bus.errors import BusError
from bus.kafka import clients

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bus.pipeline.record import Output


class RecordTooLargeError(BusError):
    """A record is larger than the broker takes."""


async def send(producer: Any, outputs: Iterable[Output], now_ms: int) -> list[asyncio.Future[Any]]:
    """Queue outputs on the producer's open transaction, in order per partition; the futures of their batches.

    Args:
        producer: an AIOKafkaProducer inside a transaction.
        outputs: what to send.
        now_ms: record timestamp, milliseconds since 1970.
    """
    open_batches: dict[tuple[str, int], Any] = {}
    full: list[tuple[tuple[str, int], Any]] = []
    for topic, partition, key, value, headers in outputs:
        place = (topic, partition)
        batch = open_batches.get(place)
        if batch is None:
            batch = open_batches[place] = producer.create_batch()
        if batch.append(timestamp=now_ms, key=key, value=value, headers=headers) is None:
            full.append((place, batch))
            batch = open_batches[place] = producer.create_batch()
            batch.append(timestamp=now_ms, key=key, value=value, headers=headers)
    ready = [*full, *open_batches.items()]
    return [await producer.send_batch(batch, place[0], partition=place[1]) for place, batch in ready]


async def commit(producer: Any, outputs: Sequence[Output], offsets: Mapping[Any, int], group: str, now_ms: int) -> None:
    """Write outputs and input offsets, all or nothing; one after the other.

    Not side by side: while the coordinator adds the offsets' partition it answers the brokers' check of the outputs
    (KIP-890) with "concurrent transactions", which an older produce version is told as NotEnoughReplicas, and retries
    after 100 ms.

    Raises:
        KafkaError: nothing was written that a read-committed reader will see.
    """
    clients.refuse_fenced(producer)
    await producer.begin_transaction()
    try:
        futures = await send(producer, outputs, now_ms)
        if futures:
            await asyncio.gather(*futures)
        if offsets:
            await producer.send_offsets_to_transaction(offsets, group)
        await producer.commit_transaction()
    except BaseException:
        await abort(producer)
        raise


async def abort(producer: Any) -> None:
    """Give the open transaction up, so that readers need not wait for its timeout."""
    try:
        async with asyncio.timeout(2.0):
            await producer.abort_transaction()
    except Exception:  # noqa: BLE001  fenced, or the broker is gone: then the broker ends the transaction by itself
        return
