"""The yardstick: aiokafka alone copies the bytes of a topic to another, exactly once, and does not look at them.

    python -m bus.bench.copy FROM TO GROUP

Same batches, same transactions, same settings as the pipeline; no decoding, no mapping, no headers made.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time

from bus.config import Settings
from bus.kafka import clients
from bus.pipeline import transaction
from bus.pipeline.loop import MAX_RECORDS, PACE_SECONDS, REST_SECONDS
from bus.pipeline.record import Output


async def copy(source: str, target: str, group: str) -> None:
    """Copy until SIGTERM."""
    settings = Settings.load()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    producer = clients.producer(settings.kafka, f"{group}.copy")
    consumer = clients.consumer(settings.kafka, group_id=group, auto_offset_reset="earliest")
    async with clients.started(producer, settings.kafka), clients.started(consumer, settings.kafka):
        numbers = await clients.partitions(consumer, source, settings.kafka)
        consumer.assign([clients.TopicPartition(source, number) for number in numbers])
        sys.stderr.write("ready\n")
        sys.stderr.flush()
        while not stop.is_set():
            started = time.monotonic()
            polled = await consumer.getmany(timeout_ms=200, max_records=MAX_RECORDS)
            if not polled:
                continue
            outputs = [
                Output(target, place.partition, record.key, record.value, list(record.headers))
                for place, records in polled.items()
                for record in records
            ]
            offsets = {place: records[-1].offset + 1 for place, records in polled.items()}
            await transaction.commit(producer, outputs, offsets, group, int(time.time() * 1000))
            if len(outputs) < MAX_RECORDS // 4:
                await asyncio.sleep(max(REST_SECONDS, started + PACE_SECONDS - time.monotonic()))


if __name__ == "__main__":
    asyncio.run(copy(*sys.argv[1:4]))
