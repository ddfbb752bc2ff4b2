"""Confluent's own serialiser and deserialiser through the registry."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

if TYPE_CHECKING:
    from collections.abc import Callable

    from confluent_kafka.schema_registry import SchemaRegistryClient


def test_a_record_comes_back_through_the_wire_format(
    client: SchemaRegistryClient, record: Callable[..., dict[str, Any]], unique: Callable[[str], str]
) -> None:
    topic = unique("topic")
    context = SerializationContext(topic, MessageField.VALUE)
    serialise = AvroSerializer(client, json.dumps(record("name")))

    payload = serialise({"name": "张三"}, context)

    latest = client.get_latest_version(f"{topic}-value")
    assert payload is not None
    assert payload[:5] == b"\0" + (latest.schema_id or 0).to_bytes(4, "big")
    assert AvroDeserializer(client)(payload, context) == {"name": "张三"}


def test_a_reader_with_a_newer_schema_fills_in_the_default(
    client: SchemaRegistryClient, record: Callable[..., dict[str, Any]], unique: Callable[[str], str]
) -> None:
    context = SerializationContext(unique("topic"), MessageField.VALUE)
    payload = AvroSerializer(client, json.dumps(record("name")))({"name": "李四"}, context)

    newer = AvroDeserializer(client, json.dumps(record("name", "phone?")))

    assert newer(payload, context) == {"name": "李四", "phone": ""}
