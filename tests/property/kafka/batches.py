"""Random records, and the batches that aiokafka makes of them and a broker may change them into."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import google_crc32c
from aiokafka import codec
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from bus.kafka.decompression import decompressed
from bus.kafka.native import Records

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Content: TypeAlias = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]
"""Key, value, headers."""

HEAD: Final = 61
COUNT_AT: Final = 57
CODECS: Final[dict[int, Callable[[Any], bytes]]] = {
    0: bytes,
    1: codec.gzip_encode,
    2: codec.snappy_encode,
    3: codec.lz4_encode,
    4: codec.zstd_encode,
}


def cases(count: int) -> settings:
    """So many."""
    return settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck))


@dataclass(frozen=True)
class Batch:
    """Records as a producer packs them, and what a broker makes of the batch.

    Attributes:
        contents: of its records.
        offsets: of each, from the batch's first offset on; compaction leaves gaps.
        base: the batch's first offset.
        beyond: offsets behind its last record whose records were compacted away.
        codec: number of its compression.
    """

    contents: Sequence[Content]
    offsets: Sequence[int]
    base: int = 0
    beyond: int = 0
    codec: int = 0
    attributes: dict[str, int] = field(default_factory=dict)

    def packed(self) -> bytes:
        """All of its bytes."""
        builder = DefaultRecordBatchBuilder(2, self.codec, self.attributes.get("transactional", 0), 7, 1, 5, 1 << 30)
        for offset, (key, value, headers) in zip(self.offsets, self.contents, strict=True):
            builder.append(offset, timestamp=1_700_000_000_000 + offset % 7, key=key, value=value, headers=headers)
        made = bytearray(builder.build())
        struct.pack_into(">q", made, 0, self.base)
        struct.pack_into(">i", made, 23, max(self.offsets, default=-1) + self.beyond)
        return sealed(made)


def sealed(batch: bytes | bytearray) -> bytes:
    """The batch, with the size and the checksum that its bytes have."""
    made = bytearray(batch)
    struct.pack_into(">i", made, 8, len(made) - 12)
    struct.pack_into(">I", made, 17, google_crc32c.value(bytes(made[21:])))
    return bytes(made)


def rewritten(batch: bytes, records: bytes, count: int | None = None, codec: int = 0) -> bytes:
    """The batch with these bytes for its records, compressed anew, right from its checksum's point of view."""
    head = bytearray(batch[:HEAD])
    head[22] = head[22] & ~7 | codec
    if count is not None:
        struct.pack_into(">I", head, COUNT_AT, count)
    return sealed(head + CODECS[codec](records))


def read(batch: bytes, first: int = 0) -> Records:
    """As the bus reads it."""
    return Records.of_batch("t", 3, batch, first, decompressed)


def read_by_aiokafka(batch: bytes, first: int = 0) -> list[tuple[Any, ...]]:
    """As aiokafka reads it: offset, key, value, headers of each record from an offset on."""
    records = DefaultRecordBatch(batch)
    assert records.validate_crc()
    return [
        (each.offset, each.key, each.value, tuple(each.headers)) for each in records if each.offset >= first
    ]  # fmt: skip


def told(records: Records) -> list[tuple[Any, ...]]:
    """The same of ours."""
    return [(each.offset, each.key, each.value, each.headers) for each in records]


class _Plain:
    """Kafka's description of records, in plain Python: the reference of what is a record, and what is damage."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._place = 0

    def records(self, head: bytes) -> list[tuple[Any, ...]]:
        """So many as the batch's head says, and nothing behind them; a ValueError tells of damage."""
        base, last, count = (int.from_bytes(head[place : place + size], "big") for place, size in _COUNTED)
        made, before = [], -1
        for _ in range(count):
            delta, *others = _Plain(self._taken(self._number()))._record()
            _see(before < delta <= last)
            made.append((base + delta, *others))
            before = delta
        _see(self._place == len(self._content))
        return made

    def _record(self) -> tuple[Any, ...]:
        self._taken(1)  # attributes, of which there are none so far
        self._number()  # its time
        delta, key, value = self._number(), self._nullable(), self._nullable()
        headers = []
        count = self._number()
        _see(0 <= count <= len(self._content))
        for _ in range(count):
            name = self._nullable()
            _see(name is not None)
            headers.append(((name or b"").decode("utf-8", "replace"), self._nullable()))
        _see(self._place == len(self._content))
        return delta, key, value, tuple(headers)

    def _nullable(self) -> bytes | None:
        size = self._number()
        return None if size == -1 else self._taken(size)

    def _taken(self, size: int) -> bytes:
        _see(0 <= size <= len(self._content) - self._place)
        self._place += size
        return self._content[self._place - size : self._place]

    def _number(self) -> int:
        found = shift = 0
        while True:
            byte = self._taken(1)[0]
            found |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                _see(found < 2**64)
                return found >> 1 ^ -(found & 1)
            _see(shift < 70)


_COUNTED: Final = ((0, 8), (23, 4), (57, 4))


def _see(is_right: bool) -> None:
    if not is_right:
        raise ValueError


def read_plainly(batch: bytes) -> list[tuple[Any, ...]]:
    """The same as `read_by_aiokafka`, of a batch without compression, with nothing forgiven.

    Raises:
        ValueError: the records are damaged.
    """
    return _Plain(batch[HEAD:]).records(batch)


_texts = st.one_of(st.none(), st.binary(max_size=20), st.integers(60, 300).map(lambda size: b"v" * size))
_headers = st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=9)), max_size=3)
contents: st.SearchStrategy[Content] = st.tuples(_texts, _texts, _headers)


@st.composite
def batches(draw: st.DrawFn, codecs: Sequence[int] = (0, 1, 2, 3, 4)) -> Batch:
    """Of up to a dozen records."""
    records = draw(st.lists(contents, min_size=1, max_size=12))
    offsets, offset = [], -1
    for _ in records:
        offset += 1 + draw(st.sampled_from([0, 0, 0, 1, 70, 9000]))
        offsets.append(offset)
    base = draw(st.sampled_from([0, 1, 12345, 2**40]))
    return Batch(records, offsets, base, draw(st.sampled_from([0, 0, 1, 500])), draw(st.sampled_from(codecs)))
