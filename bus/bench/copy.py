"""The yardsticks: aiokafka alone moving a topic to another, and what a programmer would write with fastavro.

    python -m bus.bench.copy plain FROM TO GROUP
    python -m bus.bench.copy transactional FROM TO GROUP
    python -m bus.bench.copy by-hand FROM TO GROUP

The same clients as the pipeline's, set up in the same way, with an object for each record as aiokafka has them: headers
and CRC checks on, acknowledged by all, no compression. The copies do not look at the bytes: the plain one writes, then
commits its offsets (at least once); the transactional one does both in one transaction (exactly once). By hand, in
transactions, fastavro reads the change and writes the record, with plain Python between: no catalogue, no rules, one
header in five made anew.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import signal
import sys
import time
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from fastavro import parse_schema, schemaless_reader, schemaless_writer

from bus import wire
from bus.bench.batches import Record, send
from bus.bench.events import LIGHT_ROW
from bus.config import Settings
from bus.kafka import clients
from bus.pipeline.envelope import envelope_schema
from bus.process import collect_rarely

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    Job = Callable[[str, int, Sequence[Any]], list[Record]]
    Commit = Callable[[list[Record], Mapping[Any, int]], Awaitable[None]]

MAX_RECORDS: Final = 4_000
"""Of a batch, and of a transaction."""

PACE_SECONDS: Final = 0.03
"""From one small batch to the next."""

REST_SECONDS: Final = 0.01


def copied(target: str, partition: int, records: Sequence[Any]) -> list[Record]:
    """The records as they are."""
    return [Record(target, partition, record.key, record.value, list(record.headers)) for record in records]


_CHANGE = parse_schema(envelope_schema("bench.people", LIGHT_ROW))
_PERSON = parse_schema(
    {
        "type": "record",
        "name": "person",
        "namespace": "bench.by_hand",
        "fields": [
            *(
                {"name": name, "type": "string"}
                for name in ("id_number", "full_name", "sex", "ethnicity", "registered_address", "division_code")
            ),
            {"name": "birth_date", "type": {"type": "int", "logicalType": "date"}},
            {"name": "phone", "type": ["null", "string"], "default": None},
            {"name": "updated_at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        ],
    }
)
_SEXES = {"0": "0", "1": "1", "2": "2", "9": "9"}


def by_hand(target: str, partition: int, records: Sequence[Any]) -> list[Record]:
    """The bench's light mapping in plain Python; what it cannot map is dropped."""
    made = []
    for record in records:
        assert record.value is not None
        event: Any = schemaless_reader(BytesIO(record.value[wire.FRAME_BYTES :]), _CHANGE, None)
        value = None
        if event["op"] != "d":
            try:
                value = _person(event["after"])
            except (KeyError, ValueError):
                continue
        headers = [(name, body + b"/m1" if name == "ce_id" else body) for name, body in record.headers]
        made.append(Record(target, partition, record.key, value, headers))
    return made


def _person(row: dict[str, Any]) -> bytes:
    number, born = row["zjhm"], row["csrq"]
    if len(number) != 18:
        raise ValueError
    body = BytesIO()
    body.write(wire.frame(1))
    person = {
        "id_number": number,
        "full_name": row["xm"],
        "sex": _SEXES[row["xb"]],
        "birth_date": dt.date(int(born[:4]), int(born[4:6]), int(born[6:])),
        "ethnicity": row["mz"],
        "registered_address": row["hjdz"],
        "phone": row["lxdh"] or None,
        "division_code": row["xzqhdm"],
        "updated_at": row["gxsj"],
    }
    schemaless_writer(body, _PERSON, person)
    return body.getvalue()


async def move(job: Job, source: str, target: str, group: str, *, transactional: bool) -> None:
    """Move a topic to another until SIGTERM."""
    settings = Settings.load()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    producer = clients.producer(settings.kafka, f"{group}.copy" if transactional else None)
    consumer = clients.consumer(settings.kafka, group_id=group, auto_offset_reset="earliest")
    commit = _in_one(producer, group) if transactional else _one_after_the_other(producer, consumer)
    async with clients.started(producer, settings.kafka), clients.started(consumer, settings.kafka):
        numbers = await clients.partitions(consumer, source, settings.kafka)
        consumer.assign([clients.TopicPartition(source, number) for number in numbers])
        collect_rarely()
        sys.stderr.write("ready\n")
        sys.stderr.flush()
        while not stop.is_set():
            started = time.monotonic()
            polled = await consumer.getmany(timeout_ms=200, max_records=MAX_RECORDS)
            if not polled:
                continue
            outputs = [output for place, records in polled.items() for output in job(target, place.partition, records)]
            await commit(outputs, {place: records[-1].offset + 1 for place, records in polled.items()})
            if len(outputs) < MAX_RECORDS // 4:
                await asyncio.sleep(max(REST_SECONDS, started + PACE_SECONDS - time.monotonic()))


def _in_one(producer: Any, group: str) -> Commit:
    """Outputs and offsets in one transaction: exactly once."""

    async def commit(outputs: list[Record], offsets: Mapping[Any, int]) -> None:
        await producer.begin_transaction()
        await asyncio.gather(*await send(producer, outputs, int(time.time() * 1000)))
        await producer.send_offsets_to_transaction(offsets, group)
        await producer.commit_transaction()

    return commit


def _one_after_the_other(producer: Any, consumer: Any) -> Commit:
    """The offsets once the outputs are there: at least once."""

    async def commit(outputs: list[Record], offsets: Mapping[Any, int]) -> None:
        await asyncio.gather(*await send(producer, outputs, int(time.time() * 1000)))
        await consumer.commit(offsets)

    return commit


if __name__ == "__main__":
    JOBS: dict[str, Job] = {"plain": copied, "transactional": copied, "by-hand": by_hand}
    asyncio.run(move(JOBS[sys.argv[1]], *sys.argv[2:5], transactional=sys.argv[1] != "plain"))
