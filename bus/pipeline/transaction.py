"""Outputs and positions in one Kafka transaction: the only way in which the data path writes.

Batches are sent, not records: no future per record. See `bus.kafka.record_batches`.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from bus.errors import DependencyError
from bus.kafka import clients, native, record_batches
from bus.pipeline.record import Output, one_by_one

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from bus.kafka.native import Packed
    from bus.pipeline.record import Made

Place: TypeAlias = tuple[str, int]

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


async def send(producer: Any, outputs: Iterable[Made], now_ms: int) -> list[asyncio.Future[Any]]:
    """Queue outputs on the producer's open transaction, in order per partition; the futures of their batches.

    Args:
        producer: an AIOKafkaProducer inside a transaction.
        outputs: what to send.
        now_ms: record timestamp, milliseconds since 1970.
    """
    batches = _whole_batches if record_batches.IS_USABLE else _plain_batches
    ready = [each async for each in batches(producer, outputs, now_ms)]
    clients.introduce(producer, {topic for (topic, _), _ in ready})
    turns = _in_turns(ready)
    return [await producer.send_batch(batch, topic, partition=partition) for (topic, partition), batch in turns]


def _in_turns(ready: Iterable[tuple[Place, Any]]) -> list[tuple[Place, Any]]:
    """The first batch of each partition, the second of each, and so on.

    The client takes the next of a partition once the last is under way. One after the other they would keep it from
    hearing of all partitions, which it adds to the transaction together, and from sending a batch of each at once.
    """
    turns: defaultdict[Place, int] = defaultdict(int)
    numbered = []
    for place, batch in ready:
        numbered.append((turns[place], (place, batch)))
        turns[place] += 1
    return [each for _, each in sorted(numbered, key=itemgetter(0))]


async def _whole_batches(producer: Any, outputs: Iterable[Made], now_ms: int) -> AsyncIterator[tuple[Place, Any]]:
    packed: dict[Place, list[Packed]] = defaultdict(list)
    loose: dict[Place, Packed] = {}
    for number, output in enumerate(outputs, 1):
        if number % (4 * TURN) == 0:  # to append one takes a quarter of what a stage takes
            await asyncio.sleep(0)
        place = (output.topic, output.partition)
        if not isinstance(output, Output):
            packed[place].append(output)
            loose.pop(place, None)
            continue
        part = loose.get(place)
        if part is None:
            part = loose[place] = native.Packed(*place)
            packed[place].append(part)
        part.append(output.key, output.value, output.headers)
    for place, parts in packed.items():
        batch = record_batches.builder(producer, clients.MAX_BATCH_BYTES, now_ms)
        batch.make_room(parts)
        for number, part in enumerate(parts):
            taken = 0
            while (taken := batch.extend(part, taken)) < part.size:
                yield place, batch
                batch = record_batches.builder(producer, clients.MAX_BATCH_BYTES, now_ms)
                batch.make_room(parts[number:], taken)
                await asyncio.sleep(0)
            part.release()
        yield place, batch


async def _plain_batches(producer: Any, outputs: Iterable[Made], now_ms: int) -> AsyncIterator[tuple[Place, Any]]:
    open_batches: dict[Place, Any] = {}
    for number, (topic, partition, key, value, headers) in enumerate(one_by_one(outputs), 1):
        if number % (4 * TURN) == 0:
            await asyncio.sleep(0)
        place = (topic, partition)
        batch = open_batches.get(place)
        if batch is None:
            batch = open_batches[place] = producer.create_batch()
        if batch.append(timestamp=now_ms, key=key, value=value, headers=headers) is None:
            yield place, batch
            batch = open_batches[place] = producer.create_batch()
            batch.append(timestamp=now_ms, key=key, value=value, headers=headers)
    for place, batch in open_batches.items():
        yield place, batch


async def commit(producer: Any, outputs: Sequence[Made], offsets: Mapping[Any, int], group: str, now_ms: int) -> int:
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


async def _look(producer: Any, outputs: Sequence[Made], looks: int) -> int:
    """Whether there is still hope; how often in a row the broker has answered."""
    gone = await clients.missing_topics(producer, {output.topic for output in outputs})
    if gone is None:
        return 0
    if gone:
        raise TopicGoneError(", ".join(sorted(gone)), fix="have it made again: bus apply")
    if looks >= MOST_LOOKS:
        raise StuckTransactionError(f"not within {LOOK_SECONDS * MOST_LOOKS:.0f} s")
    return looks + 1


async def _write(producer: Any, outputs: Sequence[Made], offsets: Mapping[Any, int], group: str, now_ms: int) -> int:
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
