"""Whole record batches are read as aiokafka reads them, and damaged ones are refused."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.kafka import native
from bus.kafka.native import DamagedBatchError, Records
from tests.property.kafka.batches import (
    CODECS,
    HEAD,
    Batch,
    batches,
    cases,
    contents,
    read,
    read_by_aiokafka,
    read_plainly,
    rewritten,
    sealed,
    told,
)
from tests.property.pipeline.native_values import blob, number

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.property.kafka.batches import Content

pytestmark = pytest.mark.skipif(not native.IS_BUILT, reason="record batches are not compiled")


@cases(400)
@given(batches(), st.integers(-1, 20))
def test_a_batch_is_read_as_aiokafka_reads_it(batch: Batch, skipped: int) -> None:
    """With every codec, with the gaps of compaction, and from an offset inside it on."""
    packed, first = batch.packed(), batch.base + skipped
    records = read(packed, first)
    assert told(records) == read_by_aiokafka(packed, first)
    assert batch.codec or told(read(packed)) == read_plainly(packed)
    assert {(each.topic, each.partition) for each in records} <= {("t", 3)}


class Keyed(NamedTuple):
    """A record of which only its key matters."""

    offset: int
    key: bytes | None
    value: bytes = b"v"
    headers: tuple[tuple[str, bytes], ...] = ()


KEYS = st.none() | st.binary(max_size=20) | st.sampled_from([b"a", b"b", b"c", b"", b"a" * 40])


@cases(400)
@given(st.lists(KEYS, max_size=60), st.sets(KEYS, max_size=4), st.sets(KEYS, max_size=4))
def test_places_are_those_of_the_keys(
    keys: list[bytes | None], known: set[bytes | None], more: set[bytes | None]
) -> None:
    """Few keys among many records are looked for by their hashes first."""
    records = Records.of("t", 3, [Keyed(at, key) for at, key in enumerate(keys)])
    assert records.places(dict.fromkeys(known), more) == [at for at, key in enumerate(keys) if key in known | more]


@cases(200)
@given(batches((0,)))
def test_records_are_a_sequence(batch: Batch) -> None:
    records = read(batch.packed())
    reference = list(records)
    assert len(records) == len(reference) == len(batch.contents)
    assert [records[i] for i in range(-len(reference), len(reference))] == reference * 2
    assert records.keys() == [each.key for each in reference]
    assert [records.key(i) for i in range(len(records))] == records.keys()
    assert [records.offset(i) for i in range(len(records))] == [each.offset for each in reference]
    assert [records.frame(i) for i in range(len(records))] == [(each.value or b"")[:5] for each in reference]
    assert list(Records.of("t", 3, reference)) == reference


_ends = st.none() | st.integers(-15, 15)


@cases(200)
@given(batches((0,)), st.data())
def test_a_slice_outlives_its_records(batch: Batch, data: st.DataObject) -> None:
    records = read(batch.packed())
    reference = list(records)
    for _ in range(3):  # of a slice of a slice
        chosen = slice(data.draw(_ends), data.draw(_ends))
        records, reference = records[chosen], reference[chosen]
        assert list(records) == reference
        assert records.keys() == [each.key for each in reference]


def test_there_is_nothing_beyond_its_ends() -> None:
    records = read(Batch([(b"k", b"v", [])] * 3, range(3)).packed())
    for beyond in (3, -4, 2**40):
        with pytest.raises(IndexError):
            records[beyond]
        with pytest.raises(IndexError):
            records.frame(beyond)
    with pytest.raises(ValueError, match="one after the other"):
        records[::2]
    for none in (records[3:], records[2:1], records[:0], Records()):
        assert (list(none), none.keys(), len(none)) == ([], [], 0)


def test_a_batch_may_be_empty_after_compaction() -> None:
    packed = Batch([(b"k", b"v", [])], [0], beyond=9).packed()
    assert list(read(rewritten(packed, b"", 0))) == []


def test_a_header_whose_name_is_no_text_is_no_reason_to_stop() -> None:
    packed = Batch([(b"k", b"v", [("abc", b"1")])], [0]).packed()
    damaged = sealed(packed.replace(b"abc", b"a\xffc"))
    assert read(damaged)[0].headers == (("a\ufffdc", b"1"),)


_ODD = [
    *(number(value) for value in (-1, -2, 0, 1, 63, 64, 2**31, -(2**31), 2**62, 2**63 - 1, -(2**63))),
    b"\x80" * 9 + b"\x01",
    b"\xff" * 9 + b"\x01",
    b"\xff" * 9 + b"\x02",  # more than 64 bits
    b"\x80" * 9 + b"\x00",  # overlong
    b"\x80" * 12,  # without an end
    b"\x80",
]


@st.composite
def _damages(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """Some change of bytes."""
    share, odd = draw(st.floats(0, 1, exclude_max=True)), draw(st.sampled_from(_ODD))
    kind, bit = draw(st.sampled_from(["flip", "cut", "insert", "overwrite", "drop", "repeat"])), draw(st.integers(0, 7))

    def damage(content: bytes) -> bytes:
        place = int(share * len(content))
        first, rest = content[:place], content[place:]
        return {
            "flip": first + bytes([rest[0] ^ 1 << bit]) + rest[1:] if rest else first,
            "cut": first,
            "insert": first + odd + rest,
            "overwrite": first + odd + rest[len(odd) :],
            "drop": first + rest[1:],
            "repeat": content + rest,
        }[kind]

    return damage


def _hold_damaged(damaged: bytes, codec: int) -> None:
    """It is refused where the reference refuses it, and read where it is read, to the same."""
    try:
        expected = read_plainly(damaged)
    except ValueError:
        expected = None
    try:
        records = told(read(rewritten(damaged, damaged[HEAD:], codec=codec)))
    except DamagedBatchError:
        records = None
    assert records == expected


@cases(700)
@given(batches((0,)), st.lists(_damages(), min_size=1, max_size=3), st.sampled_from(sorted(CODECS)))
def test_damaged_records_are_refused_whatever_the_checksum_says(
    batch: Batch, damages: list[Callable[[bytes], bytes]], codec: int
) -> None:
    packed = batch.packed()
    records = packed[HEAD:]
    for damage in damages:
        records = damage(records)
    _hold_damaged(packed[:HEAD] + records, codec)


@cases(300)
@given(batches(), _damages(), st.sampled_from([0, 12, 16, 21, 22, 23, 57]), st.booleans())
def test_damaged_heads_are_refused(batch: Batch, damage: Callable[[bytes], bytes], place: int, is_whole: bool) -> None:
    packed = batch.packed()
    damaged = packed[:place] + damage(packed[place:HEAD])[: HEAD - place].ljust(HEAD - place, b"\0") + packed[HEAD:]
    try:
        read(sealed(damaged) if is_whole else damaged)
    except DamagedBatchError:
        return
    except ValueError as error:  # a decompressor's: the codec was changed
        assert batch.codec or damaged[22] & 7, error  # noqa: PT017


@cases(200)
@given(batches(), st.data())
def test_a_flipped_bit_is_seen(batch: Batch, data: st.DataObject) -> None:
    packed = bytearray(batch.packed())
    packed[data.draw(st.integers(17, len(packed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(DamagedBatchError):
        read(bytes(packed))


@cases(100)
@given(batches(), st.floats(0, 1, exclude_max=True))
def test_a_batch_cut_off_is_refused(batch: Batch, share: float) -> None:
    packed = batch.packed()
    with pytest.raises(DamagedBatchError):
        read(packed[: int(share * len(packed))])


def _record(*parts: bytes, size: int | None = None) -> bytes:
    content = b"\0\0\0" + b"".join(parts)
    return number(len(content) if size is None else size) + content


_NONE, _NO_HEADERS = number(-1), number(0)


@pytest.mark.parametrize(
    "record",
    [
        _record(number(100), _NONE, _NO_HEADERS),  # a key that goes on beyond its record
        _record(_NONE, number(2**40), _NO_HEADERS),
        _record(number(2**63 - 1), _NONE, _NO_HEADERS),  # and beyond any memory
        _record(_NONE, number(-2), _NO_HEADERS),
        _record(number(-(2**63)), _NONE, _NO_HEADERS),
        _record(_NONE, _NONE, number(-1)),
        _record(_NONE, _NONE, number(2**40)),
        _record(_NONE, _NONE, number(2), number(0), _NONE),
        _record(_NONE, _NONE, number(1), _NONE, _NONE),  # a header without a name
        _record(_NONE, _NONE, number(1), number(2**62), _NONE),
        _record(_NONE, _NONE, number(1), number(1), b"n", number(2**62)),
        _record(_NONE, _NONE, number(1), number(1), b"n", number(-2)),
        _record(_NONE, _NONE, _NO_HEADERS, b"more"),
        _record(_NONE, _NONE, _NO_HEADERS, size=0),
        _record(_NONE, _NONE, _NO_HEADERS, size=-1),
        _record(_NONE, _NONE, _NO_HEADERS, size=2**62),
        _record(_NONE, _NONE, _NO_HEADERS, size=5),
        _record(b"\x80" * 10, _NONE, _NO_HEADERS),
        _record(b"\xff" * 9 + b"\x02", _NONE, _NO_HEADERS),
    ],
)
def test_a_size_that_cannot_be_is_refused(record: bytes) -> None:
    packed = Batch([(b"k", b"v", [])], [0]).packed()
    for content in (record, record + bytes(40), b"x" * 40 + record):
        with pytest.raises(DamagedBatchError):
            read(rewritten(packed, content, 1))


@pytest.mark.parametrize("deltas", [(0, 0), (1, 0), (0, 9), (-1, 0)])
def test_offsets_that_do_not_rise_within_the_batch_are_refused(deltas: tuple[int, int]) -> None:
    packed = Batch([(None, b"v", [])] * 2, range(2)).packed()
    records = b"".join(blob(b"\0\0" + number(delta) + _NONE + _NONE + _NO_HEADERS) for delta in deltas)
    with pytest.raises(DamagedBatchError):
        read(rewritten(packed, records))


@pytest.mark.parametrize("base", [-1, -(2**63), 2**63 - 1, 2**63 - 2**31])
def test_an_offset_that_cannot_be_is_refused(base: int) -> None:
    """The checksum is not about it."""
    packed = bytearray(Batch([(None, b"v", [])], [0]).packed())
    struct.pack_into(">q", packed, 0, base)
    with pytest.raises(DamagedBatchError):
        read(bytes(packed))


@pytest.mark.parametrize("count", [2, 3, 2**20, 2**31 - 1, 2**31, 2**32 - 1])
def test_a_count_beyond_its_bytes_is_refused(count: int) -> None:
    packed = Batch([(None, b"v", [])], [0]).packed()
    with pytest.raises(DamagedBatchError):
        read(rewritten(packed, packed[HEAD:], count))


def test_a_million_records_that_cost_their_sender_nothing_are_refused() -> None:
    """Each takes 7 bytes before compression, and 56 once it is found."""
    packed = Batch([(None, None, [])], [0], beyond=2**30).packed()
    many = 2**20 + 1
    with pytest.raises(DamagedBatchError, match="more than 1048576 records"):
        read(rewritten(packed, bytes(7) * many, many, codec=4))


@cases(100)
@given(st.lists(contents, max_size=5), st.integers(0, 2**62))
def test_records_that_are_there_already_become_the_same(some: list[Content], first: int) -> None:
    batch = Batch(some, range(len(some)))
    if not some:
        assert list(Records.of("t", 3, [])) == []
        return
    fetched = [each._replace(offset=first + 2 * each.offset) for each in read(batch.packed())]
    assert list(Records.of("t", 3, fetched)) == fetched
