"""Outputs and positions in one Kafka transaction: the only way in which the data path writes.

aiokafka's public batch API is used (`create_batch`, `send_batch`): no future per record.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from bus.errors import DependencyError
from bus.kafka import clients

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bus.pipeline.record import Output


LOOK_SECONDS: Final = 2.0
"""A transaction that takes longer may be writing to a topic that was deleted, which the client would try for ever."""

MOST_LOOKS: Final = 6
"""After so many, the broker answering each time, it is beyond its timeout: the broker has aborted it (10 s)."""

TURN: Final = 50
"""Records handled before the event loop gets its turn: a few milliseconds, so that live changes in one process wait
little for those of a dump."""

MAX_TOPICS: Final = 200
"""Topics of one transaction: each costs the broker far more than a record does (design §3)."""


class StuckTransactionError(DependencyError):
    """A transaction did not come to its end in time."""


class TopicGoneError(DependencyError):
    """A topic that a transaction writes to is gone."""


async def send(producer: Any, outputs: Iterable[Output], now_ms: int) -> list[asyncio.Future[Any]]:
    """Queue outputs on the producer's open transaction, in order per partition; the futures of their batches.

    Args:
        producer: an AIOKafkaProducer inside a transaction.
        outputs: what to send.
        now_ms: record timestamp, milliseconds since 1970.
    """
    open_batches: dict[tuple[str, int], Any] = {}
    full: list[tuple[tuple[str, int], Any]] = []
    for number, (topic, partition, key, value, headers) in enumerate(outputs, 1):
        if number % (4 * TURN) == 0:  # to append one takes a quarter of what a stage takes
            await asyncio.sleep(0)
        place = (topic, partition)
        batch = open_batches.get(place)
        if batch is None:
            batch = open_batches[place] = producer.create_batch()
        if batch.append(timestamp=now_ms, key=key, value=value, headers=headers) is None:
            full.append((place, batch))
            batch = open_batches[place] = producer.create_batch()
            batch.append(timestamp=now_ms, key=key, value=value, headers=headers)
    clients.introduce(producer, {topic for topic, _ in open_batches})
    ready = [*full, *open_batches.items()]
    return [await producer.send_batch(batch, place[0], partition=place[1]) for place, batch in ready]


async def commit(producer: Any, outputs: Sequence[Output], offsets: Mapping[Any, int], group: str, now_ms: int) -> int:
    """Write outputs and input offsets, all or nothing, one after the other; how many batches that took.

    Not side by side: while the coordinator adds the offsets' partition it answers the brokers' check of the outputs
    (KIP-890) with "concurrent transactions", which an older produce version is told as NotEnoughReplicas, and retries
    after 100 ms.

    Raises:
        KafkaError: nothing was written that a read-committed reader will see.
        TopicGoneError, StuckTransactionError: likewise.
    """
    clients.refuse_fenced(producer)
    await producer.begin_transaction()
    writing = asyncio.ensure_future(_write(producer, outputs, offsets, group, now_ms))
    try:
        looks = 0
        while not (await asyncio.wait([writing], timeout=LOOK_SECONDS))[0]:
            looks = await _look(producer, outputs, looks)
        return writing.result()
    except BaseException:
        writing.cancel()
        await asyncio.wait([writing])
        await abort(producer)
        raise


async def _look(producer: Any, outputs: Sequence[Output], looks: int) -> int:
    """Whether there is still hope; how often in a row the broker has answered."""
    gone = await clients.missing_topics(producer, {output.topic for output in outputs})
    if gone is None:
        return 0
    if gone:
        raise TopicGoneError(", ".join(sorted(gone)), fix="have it made again: bus apply")
    if looks >= MOST_LOOKS:
        raise StuckTransactionError(f"not within {LOOK_SECONDS * MOST_LOOKS:.0f} s")
    return looks + 1


async def _write(producer: Any, outputs: Sequence[Output], offsets: Mapping[Any, int], group: str, now_ms: int) -> int:
    futures = await send(producer, outputs, now_ms)
    if futures:
        await asyncio.gather(*futures)
    if offsets:
        await producer.send_offsets_to_transaction(offsets, group)
    await clients.commit_transaction(producer)
    return len(futures)


async def abort(producer: Any) -> None:
    """Give the open transaction up, so that readers need not wait for its timeout."""
    try:
        async with asyncio.timeout(2.0):
            await producer.abort_transaction()
    except Exception:  # noqa: BLE001  fenced, or the broker is gone: then the broker ends the transaction by itself
        return
