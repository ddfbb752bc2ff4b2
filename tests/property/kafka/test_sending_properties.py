"""Batches that the bus builds are read by aiokafka, and so by everybody, as what was put into them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka.record.default_records import DefaultRecordBatch
from hypothesis import given
from hypothesis import strategies as st

from bus.kafka import native
from bus.kafka.native import BatchBuilder, Packed, Packing
from bus.kafka.record_batches import compressed
from tests.property.kafka.batches import CODECS, Content, cases, contents, read, read_by_aiokafka, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

pytestmark = pytest.mark.skipif(not native.IS_BUILT, reason="record batches are not compiled")

_lists = st.lists(contents, max_size=30)
_NOW = 1_700_000_000_123


def _packed(some: Iterable[Content]) -> Packed:
    made = Packed("t", 3)
    for key, value, headers in some:
        made.append(key, value, headers)
    return made


def _expected(some: Iterable[Content]) -> list[tuple[Any, ...]]:
    return [(offset, key, value, tuple(headers)) for offset, (key, value, headers) in enumerate(some)]


def _batches(packed: Packed, most: int, codec: int = 0) -> list[bytes]:
    """What is sent, as the bus splits it."""
    made, taken = [], 0
    while taken < packed.size:
        builder = BatchBuilder(most, _NOW, False, codec, compressed)
        taken = builder.extend(packed, taken)
        assert builder.record_count() == 1 or builder.size() <= most
        made.append(builder._build())
    return made


@cases(300)
@given(_lists.filter(bool), st.sampled_from(sorted(CODECS)))
def test_a_batch_holds_what_was_put_into_it(some: list[Content], codec: int) -> None:
    (batch,) = _batches(_packed(some), 1 << 30, codec)
    assert read_by_aiokafka(batch) == told(read(batch)) == _expected(some)


@cases(300)
@given(_lists, st.integers(0, 700))
def test_batches_are_split_by_size_and_lose_nothing(some: list[Content], most: int) -> None:
    """A record larger than the limit stands alone; otherwise as many go into one as fit."""
    batches = _batches(_packed(some), most)
    records = [[each[1:] for each in read_by_aiokafka(batch)] for batch in batches]
    assert [each for batch in records for each in batch] == [each[1:] for each in _expected(some)]
    for batch, following in zip(batches, records[1:], strict=False):
        key, value, headers = following[0]
        (alone,) = _batches(_packed([(key, value, headers)]), 0)
        assert len(batch) + len(alone) - 61 + 2 > most, "the next one would have fitted"


@cases(100)
@given(_lists, _lists)
def test_a_batch_takes_from_several(some: list[Content], others: list[Content]) -> None:
    builder = BatchBuilder(1 << 30, _NOW, False)
    for each in (some, others):
        packed = _packed(each)
        assert builder.extend(packed) == packed.size
    assert builder.record_count() == len(some) + len(others)
    assert read_by_aiokafka(builder._build()) == _expected(some + others)


@cases(200)
@given(st.lists(_lists, max_size=4), st.integers(0, 700))
def test_room_that_is_made_at_once_is_enough_and_hardly_more(lists: list[list[Content]], most: int) -> None:
    parts = [_packed(some) for some in lists]
    everything = [content for some in lists for content in some]
    made = []

    def begun(parts: list[Packed], place: int = 0) -> tuple[BatchBuilder, int]:
        builder = BatchBuilder(most, _NOW, False)
        builder.make_room(parts, place)
        assert builder.room <= 61 + sum(part.size for part in parts) - place + 5 * len(everything)
        return builder, builder.room

    builder, room = begun(parts)
    for number, part in enumerate(parts):
        taken = 0
        while (taken := builder.extend(part, taken)) < part.size:
            assert builder.room == room or builder.record_count() == 1, "only one that is too large may need more"
            made.append(builder._build())
            builder, room = begun(parts[number:], taken)
    assert builder.room == room or builder.record_count() == 1
    made.append(builder._build())
    assert [each[1:] for batch in made for each in read_by_aiokafka(batch)] == [
        each[1:] for each in _expected(everything)
    ]
    with pytest.raises(ValueError, match="was sent"):
        builder.make_room(parts)


@pytest.mark.parametrize("is_transactional", [True, False])
@pytest.mark.parametrize("codec", sorted(CODECS))
def test_the_head_says_what_aiokafka_says_in_it(codec: int, is_transactional: bool) -> None:
    builder = BatchBuilder(1 << 20, _NOW, is_transactional, codec, compressed)
    builder.extend(_packed([(b"k", b"v" * 100, [])] * 3))
    builder._set_producer_state(2**40, 7, 2**31 - 1)
    batch = DefaultRecordBatch(builder._build())
    assert batch.validate_crc()
    assert (batch.magic, batch.compression_type) == (2, codec)
    assert (batch.is_transactional, batch.is_control_batch, batch.timestamp_type) == (is_transactional, False, 0)
    assert (batch.producer_id, batch.producer_epoch, batch.base_sequence) == (2**40, 7, 2**31 - 1)
    assert (batch.base_offset, batch.last_offset_delta, batch.next_offset) == (0, 2, 3)
    assert {each.timestamp for each in batch} == {batch.first_timestamp, batch.max_timestamp} == {_NOW}


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_a_batch_that_is_sent_again_has_the_same_bytes(codec: int) -> None:
    """aiokafka asks for them anew; the broker knows a batch that comes twice by its sequence number."""
    builder = BatchBuilder(1 << 20, _NOW, True, codec, compressed)
    builder.extend(_packed([(b"k", b"v" * 100, [])]))
    builder._set_producer_state(1, 0, 5)
    first = builder._build()
    assert builder._build() is first
    with pytest.raises(ValueError, match="was sent"):
        builder.extend(_packed([(b"k", b"v", [])]))
    assert (builder.closed(), builder.record_count()) == (True, 1)


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_what_compression_makes_larger_is_sent_as_it_is(codec: int) -> None:
    """A record that just fits the broker's limit must not grow over it."""
    noise = os.urandom(1_000_000)
    (batch,) = _batches(_packed([(b"k", noise, [])]), 512 * 1024, codec)
    (plain,) = _batches(_packed([(b"k", noise, [])]), 512 * 1024)
    assert len(batch) <= len(plain)
    assert read_by_aiokafka(batch) == [(0, b"k", noise, ())]


@cases(100)
@given(_lists)
def test_packed_records_can_be_looked_at(some: list[Content]) -> None:
    assert list(_packed(some)) == some
    assert len(_packed(some)) == _packed(some).count == len(some)


@cases(100)
@given(st.lists(st.tuples(st.integers(0, 4), contents), max_size=30))
def test_each_partition_has_its_records_in_their_order(some: list[tuple[int, Content]]) -> None:
    packing = Packing("t", 5)
    for partition, (key, value, headers) in some:
        packing.add(partition, key, value, headers)
    by_partition = {each.partition: list(each) for each in packing.packed()}
    assert by_partition == {
        partition: [content for place, content in some if place == partition] for partition, _ in some
    }


@pytest.mark.parametrize("partition", [-1, 5, 2**31 - 1, -(2**31)])
def test_there_is_no_partition_but_the_topics(partition: int) -> None:
    with pytest.raises(IndexError):
        Packing("t", 5).add(partition, b"k", b"v", [])


@cases(50)
@given(_lists.filter(bool), st.integers(-(2**63), 2**63 - 1))
def test_a_place_where_no_record_can_begin_is_refused(some: list[Content], place: int) -> None:
    packed = _packed(some)
    builder = BatchBuilder(1 << 20, _NOW, False)
    for beyond in (place if not 0 <= place <= packed.size else -1, packed.size + 1, packed.size - 3):
        with pytest.raises(ValueError, match=str(beyond)):
            builder.extend(packed, beyond)


def test_released_records_are_of_no_more_use() -> None:
    packed = _packed([(b"k", b"v", [])] * 3)
    looking = iter(packed)
    assert next(looking) == (b"k", b"v", [])
    packed.release()
    assert (len(packed), packed.size) == (3, 0)
    uses: list[Callable[[], object]] = [
        lambda: next(looking),
        lambda: list(packed),
        lambda: packed.append(b"k", b"v", []),
        lambda: BatchBuilder(1 << 20, _NOW, False).extend(packed),
    ]
    for use in uses:
        with pytest.raises(ValueError, match="in a batch already"):
            use()
