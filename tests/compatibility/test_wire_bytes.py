"""The bytes on the wire: keys, frames, headers, partitions. Whoever changes one of these breaks every subscriber."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal

import pytest
from aiokafka.partitioner import murmur2 as aiokafka_murmur2
from hypothesis import given
from hypothesis import strategies as st

from bus import wire
from bus.kafka.partitions import murmur2, partition_of
from bus.pipeline.dlq import reject_headers

KEYS = [
    (["320508199003071015"], b"320508199003071015"),
    (["户籍"], "户籍".encode()),
    ([""], b""),
    (["a", "b"], b'["a","b"]'),
    (["甲", 'q"\\'], '["甲","q\\"\\\\"]'.encode()),
    (["", "\n"], b'["","\\n"]'),
]

TEXTS = [
    ("text", "text"),
    (True, "true"),
    (False, "false"),
    (-7, "-7"),
    (Decimal("1.50"), "1.50"),
    (Decimal("1E+3"), "1000"),
    (uuid.UUID("0f8fad5b-d9cb-469f-a165-70867728950e"), "0f8fad5b-d9cb-469f-a165-70867728950e"),
    (dt.date(2026, 11, 22), "2026-11-22"),
    (dt.time(8, 9), "08:09:00"),
    (
        dt.datetime(2026, 11, 22, 8, 9, 10, 5, dt.timezone(dt.timedelta(hours=8))),
        "2026-11-22T00:09:10.000005Z",
    ),
    (b"\x00\xff", "00ff"),
]

# org.apache.kafka.common.utils.UtilsTest.testMurmur2
MURMUR2 = [
    (b"21", -973932308),
    (b"foobar", -790332482),
    (b"a-little-bit-long-string", -985981536),
    (b"a-little-bit-longer-string", -1486304829),
    (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
    (b"abc", 479470107),
]


@pytest.mark.parametrize(("texts", "key"), KEYS)
def test_keys(texts: list[str], key: bytes) -> None:
    assert wire.encode_key(texts) == key
    assert wire.decode_key(key, len(texts)) == texts


@pytest.mark.parametrize(("value", "text"), TEXTS)
def test_the_text_of_a_key_field(value: object, text: str) -> None:
    assert wire.key_text(value) == text


def test_the_confluent_frame() -> None:
    assert wire.frame(258) == b"\x00\x00\x00\x01\x02"
    assert wire.schema_id(b"\x00\x00\x00\x01\x02body") == 258


def test_the_headers_of_an_event() -> None:
    source = wire.source_urn("suzhou", "11320500MB1234567X", "gongan")
    event = wire.CloudEvent("0/16B3748/1", "population.person.v1", source, wire.timestamp(1_795_335_750_000_001))

    assert event.headers() == [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"0/16B3748/1"),
        ("ce_type", b"population.person.v1"),
        ("ce_source", b"urn:shuniu:suzhou:11320500MB1234567X:gongan"),
        ("ce_time", b"2026-11-22T08:22:30.000001Z"),
    ]
    assert wire.CloudEvent.of(event.headers()) == event


def test_the_headers_of_a_reject() -> None:
    assert reject_headers("normalise", "date", "birth_date", "no such day", "raw.a.b/0/7") == [
        ("bus_reject_stage", b"normalise"),
        ("bus_reject_rule", b"date"),
        ("bus_reject_field", b"birth_date"),
        ("bus_reject_reason", b"no such day"),
        ("bus_reject_origin", b"raw.a.b/0/7"),
    ]


def test_the_names_of_topics() -> None:
    names = [wire.raw_topic("a.b"), wire.dlq_topic("a.b"), wire.shared_topic("c.d"), wire.view_topic("v", 2)]

    assert names == ["raw.a.b", "dlq.a.b", "shared.c.d", "view.v.v2"]
    assert (wire.positions_topic("a"), wire.subject("raw.a.b")) == ("_bus.positions.a", "raw.a.b-value")


@pytest.mark.parametrize(("data", "expected"), MURMUR2)
def test_murmur2_is_kafkas(data: bytes, expected: int) -> None:
    assert murmur2(data) == expected & 0xFFFFFFFF


@given(st.binary(max_size=300))
def test_murmur2_is_aiokafkas(data: bytes) -> None:
    assert murmur2(data) == aiokafka_murmur2(data) & 0xFFFFFFFF


@given(st.binary(max_size=40), st.integers(1, 64))
def test_a_key_has_one_partition_of_those_there_are(key: bytes, partitions: int) -> None:
    assert 0 <= partition_of(key, partitions) < partitions
    assert partition_of(key, partitions) == partition_of(key, partitions * 4) % partitions
