"""A topic read whole, as an auditor would: from its first offset to its end, committed records only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bus.kafka import clients
from bus.kafka.registry_client import SchemaRegistry
from bus.pipeline.codec import decoder
from bus.wire import header_texts, schema_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from bus.config import Settings


@dataclass(frozen=True, slots=True)
class TopicRecord:
    """A record: `value` is decoded with its writer schema, None for a tombstone; `raw` are its bytes."""

    partition: int
    offset: int
    key: bytes
    value: Any
    raw: bytes | None
    headers: dict[str, str]

    @property
    def event_id(self) -> str:
        """Its `ce_id`."""
        return self.headers.get("ce_id", "")


async def read_topic(settings: Settings, topic: str, *, decode: bool = True) -> list[TopicRecord]:
    """All records of a topic as of now, partition by partition, in the order of their offsets.

    Raises:
        BrokerUnavailableError: the broker or the topic does not answer.
    """
    consumer = clients.consumer(settings.kafka)
    found: list[Any] = []
    async with clients.started(consumer, settings.kafka):
        numbers = await clients.partitions(consumer, topic, settings.kafka)
        places = [clients.TopicPartition(topic, number) for number in sorted(numbers)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        while [place for place in places if await consumer.position(place) < ends[place]]:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += records
    decoders: dict[int, Callable[[bytes], Any]] = {}
    async with SchemaRegistry(settings.registry_url) as registry:
        if decode:
            for writer in {schema_id(record.value) for record in found if record.value is not None}:
                decoders[writer] = decoder(await registry.schema(writer))
    made = [_record(record, decoders) for record in found]
    return sorted(made, key=lambda record: (record.partition, record.offset))


def _record(record: Any, decoders: dict[int, Callable[[bytes], Any]]) -> TopicRecord:
    plain = record.value is None or not decoders
    value = None if plain else decoders[schema_id(record.value)](record.value)
    headers = header_texts(record.headers)
    return TopicRecord(record.partition, record.offset, record.key or b"", value, record.value, headers)
