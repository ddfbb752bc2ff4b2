"""`bus tail`: a topic's records, decoded, as they come."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import click

from bus.commands.options import cluster, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bus.config import Settings


@click.command(name="tail")
@click.argument("topic")
@cluster
@click.option("--from-beginning", is_flag=True, help="Begin with the oldest record instead of the next one.")
@click.option("--limit", type=click.IntRange(1), help="End after so many records.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def command(
    topic: str, bootstrap: str | None, registry_url: str | None, from_beginning: bool, limit: int | None, as_json: bool
) -> None:
    """Print the records of TOPIC, decoded by their writers' schemas, until Ctrl-C.

    Works for raw, shared, view and dlq topics. What it shows is personal data: it needs the right to read the topic.
    """
    chosen = settings(bootstrap, registry_url)
    try:
        asyncio.run(_print(topic, chosen, from_beginning=from_beginning, limit=limit, as_json=as_json))
    except KeyboardInterrupt:
        return


async def _print(topic: str, chosen: Settings, *, from_beginning: bool, limit: int | None, as_json: bool) -> None:
    shown = 0
    async for record in _records(topic, chosen, from_beginning=from_beginning):
        click.echo(json.dumps(record, ensure_ascii=False, default=str) if as_json else _line(record))
        shown += 1
        if shown == limit:
            return


def _line(record: dict[str, Any]) -> str:
    value = record["value"]
    text = "deleted" if value is None else json.dumps(value, ensure_ascii=False, default=str)
    reason = record["headers"].get("bus_reject_reason")
    return f"{record['partition']}/{record['offset']}  {record['key']}  {text}" + (f"  ✗ {reason}" if reason else "")


async def _records(topic: str, chosen: Settings, *, from_beginning: bool) -> AsyncIterator[dict[str, Any]]:
    from bus.errors import NotEntitledError
    from bus.kafka import clients, record_batches
    from bus.kafka.registry_client import SchemaRegistry
    from bus.pipeline.codec import Decoders
    from bus.pipeline.decoded import decoded
    from bus.wire import header_texts

    decoders = Decoders()
    start = "earliest" if from_beginning else "latest"
    reader = clients.consumer(chosen.kafka, auto_offset_reset=start, **record_batches.fetching())
    async with clients.started(reader, chosen.kafka), SchemaRegistry(chosen.registry_url) as registry:
        numbers = await clients.partitions(reader, topic, chosen.kafka, within=3.0)
        reader.assign([clients.TopicPartition(topic, number) for number in sorted(numbers)])
        while True:
            try:
                polled = await reader.getmany(timeout_ms=500, max_records=200)
            except clients.NOT_ENTITLED:
                raise NotEntitledError(
                    f"{chosen.kafka.username!r} may not read {topic} any more",
                    where=chosen.kafka.bootstrap,
                    fix="ask the bus's operator whether the subscription is still active",
                ) from None
            for records in polled.values():
                for record in record_batches.records_of(records):
                    yield {
                        "partition": record.partition,
                        "offset": record.offset,
                        "key": (record.key or b"").decode("utf-8", "replace"),
                        "value": await decoded(record.value, decoders, registry),
                        "headers": header_texts(record.headers),
                    }
