"""Whole record batches through aiokafka, in and out: its networking, groups and transactions without its records.

aiokafka makes an object of every record that it fetches, and takes one of every record that it sends; that costs
more than all that the bus does with them. So a consumer that asks for it (`fetching`) is given what was fetched as
`FetchedBatch`es, and what is sent goes out as a batch of our own (`BatchBuilder`). Nothing public offers either: two
seams into aiokafka are used, and only with the version that they are known to fit:

- `aiokafka.consumer.fetcher` wraps what it fetched of a partition in `MemoryRecords` and in `PartitionRecords`, and
  hands out what iterating the latter gives. Ours gives batches to consumers whose value deserializer is `_as_batches`,
  and to others records, also those with a header's name that is no UTF-8.
- `AIOKafkaProducer.send_batch` takes whatever has the few methods of a batch builder.

With another version, or without the compiled code, there is the plain way over `getmany` and `create_batch`, to the
same results.
"""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import aiokafka
import structlog
from aiokafka import codec
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException

from bus.kafka import native
from bus.kafka.decompression import DecompressionError, decompressed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

KNOWN_AIOKAFKA: Final = "0.14."
IS_KNOWN_AIOKAFKA: Final = aiokafka.__version__.startswith(KNOWN_AIOKAFKA)
"""Whether aiokafka is the one that our seams into it, in this module and others, are known to fit."""

IS_USABLE: Final = native.IS_BUILT and IS_KNOWN_AIOKAFKA
"""Whether whole batches can be had."""

UNREAD: Final = "bus_reject_batch"
"""Header of an `UnreadRecord`, and so of its dead letter: which records it stands for, and why."""

_log = structlog.get_logger()
_INT32: Final = struct.Struct(">i").unpack_from
_INT64: Final = struct.Struct(">q").unpack_from
_GZIP, _SNAPPY, _LZ4, _ZSTD = 1, 2, 3, 4
_COMPRESS: Final[dict[int, Callable[[Any], bytes]]] = {
    _GZIP: codec.gzip_encode,
    _SNAPPY: codec.snappy_encode,
    _LZ4: codec.lz4_encode,
    _ZSTD: codec.zstd_encode,
}


def _as_batches(value: bytes) -> bytes:
    """A value deserializer that is never called: it marks the consumers that want batches."""
    return value


def fetching() -> dict[str, Any]:
    """Arguments of a consumer whose `getmany` gives, for a partition, a list of batches instead of one of records.

    `max_records` then counts batches: leave it out.
    """
    return {"value_deserializer": _as_batches} if IS_USABLE else {}


def records_of(fetched: Iterable[Any]) -> Iterator[Any]:
    """Each record of a partition, whether batches of them were fetched or aiokafka's own, each after the other."""
    for each in fetched:
        if isinstance(each, FetchedBatch):
            yield from each.records()
        else:
            yield each


def builder(producer: Any, max_bytes: int, timestamp: int) -> native.BatchBuilder:
    """A batch for a producer's `send_batch`.

    Args:
        producer: an AIOKafkaProducer.
        max_bytes: that it takes, unless its first record is larger; uncompressed.
        timestamp: of its records, milliseconds since 1970.
    """
    accumulator = producer._message_accumulator  # noqa: SLF001  what it compresses with is told nowhere else
    is_transactional = getattr(producer._txn_manager, "transactional_id", None) is not None  # noqa: SLF001
    return native.BatchBuilder(max_bytes, timestamp, is_transactional, accumulator._compression_type, compressed)  # noqa: SLF001


def compressed(codec_number: int, content: bytes) -> bytes:
    """The records of a batch, of the codec that has this number in its attributes."""
    return bytes(_COMPRESS[codec_number](content))


class UnreadRecord(NamedTuple):
    """Stands for the records of a batch that nobody can read; at the offset of the last of them, to be rejected."""

    offset: int
    headers: list[tuple[str, bytes]]
    key: None = None
    value: bytes = b""


class FetchedBatch:
    """A batch as it was fetched. Compressed it may be small, so its records are there only while they are used.

    Args:
        topic, partition: where it is from.
        content: all of its bytes, among those that were fetched with them.
        first: records before this offset are left out.

    Raises:
        DamagedBatchError: its checksum is wrong, or it is no batch.
    """

    __slots__ = ("_content", "_first", "partition", "topic")

    def __init__(self, topic: str, partition: int, content: memoryview, first: int) -> None:
        native.check_batch(content)
        self.topic = topic
        self.partition = partition
        self._content = content
        self._first = first

    def __len__(self) -> int:
        """How many records it says that it has."""
        count: int = _INT32(self._content, 57)[0]
        return max(0, count)

    @property
    def size(self) -> int:
        """Bytes that it was fetched with."""
        return len(self._content)

    def records(self) -> native.Records:
        """Its records; an `UnreadRecord` where what its writer sent is none."""
        of_batch = native.Records.of_batch
        try:
            return of_batch(self.topic, self.partition, self._content, self._first, decompressed, is_checked=True)
        except (native.UnreadableBatchError, DecompressionError) as error:
            return native.Records.of(self.topic, self.partition, [self._unread(str(error))])

    def _unread(self, reason: str) -> UnreadRecord:
        (begin,), (delta,) = _INT64(self._content), _INT32(self._content, 23)
        told = f"the batch of offsets {begin} to {begin + delta} cannot be read: {reason}"
        _log.error("a batch cannot be read", place=f"{self.topic}/{self.partition}/{begin}", reason=reason)
        return UnreadRecord(max(begin + delta, self._first), [(UNREAD, told.encode())])


class _Fetched:
    """aiokafka's `MemoryRecords`, which also gives the bytes of the batch that comes next."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._records = _MemoryRecords(content)
        self._place = self._last = 0
        self.has_next = self._records.has_next
        self.size_in_bytes = self._records.size_in_bytes

    def next_batch(self) -> Any:
        self._last, self._place = self._place, self._end()
        return self._records.next_batch()

    def last_bytes(self) -> memoryview:
        """Of the batch that `next_batch` gave last."""
        return memoryview(self._content)[self._last : self._place]

    def next_bytes(self) -> memoryview:
        """Of the batch that `next_batch` gives."""
        return memoryview(self._content)[self._place : self._end()]

    def _end(self) -> int:
        return self._place + 12 + int.from_bytes(self._content[self._place + 8 : self._place + 12], "big")


class _BatchesOfPartition(fetcher.PartitionRecords):
    """aiokafka's, which hands out batches; what it skips, and how it goes on after them, is the same."""

    def _unpack_records(self) -> Iterator[FetchedBatch]:
        while self._records.has_next():
            content = self._records.next_bytes()
            batch = self._records.next_batch()
            fetched = self._fetched(batch, content)
            self.next_fetch_offset: int = max(self.next_fetch_offset, batch.next_offset)
            if fetched:
                yield fetched

    def _fetched(self, batch: Any, content: memoryview) -> FetchedBatch | None:
        """The batch, unless a reader may not see it."""
        try:
            found = FetchedBatch(self._tp.topic, self._tp.partition, content, self.next_fetch_offset)
        except native.DamagedBatchError as error:  # and what is damaged may only seem to be left out
            raise CorruptRecordException(f"{self._tp}: {error}") from None
        is_committed = self._isolation_level == fetcher.READ_COMMITTED and batch.producer_id is not None
        if is_committed:
            self._consume_aborted_up_to(batch.base_offset)
            if batch.is_control_batch and self._contains_abort_marker(batch):
                self._aborted_producers.discard(batch.producer_id)
        is_aborted = is_committed and batch.is_transactional and batch.producer_id in self._aborted_producers
        return None if batch.is_control_batch or is_aborted else found


class _RecordsOfPartition(fetcher.PartitionRecords):
    """aiokafka's, which fails for good at a header whose name is no UTF-8; this one replaces what is none."""

    next_fetch_offset: int

    def _unpack_records(self) -> Iterator[Any]:
        while self._records.has_next():
            try:
                yield from super()._unpack_records()
            except UnicodeDecodeError:
                yield from self._rest(self._records.last_bytes())

    def _rest(self, content: memoryview) -> Iterator[Any]:
        """The records of a batch that were not handed out yet; they bear the time of its newest."""
        common = {"timestamp": _INT64(content, 35)[0], "timestamp_type": content[22] >> 3 & 1, "checksum": None}
        for record in FetchedBatch(self._tp.topic, self._tp.partition, content, self.next_fetch_offset).records():
            self.next_fetch_offset = record.offset + 1
            yield self._consumer_record(self._tp, SimpleNamespace(**record._asdict(), **common))
        self.next_fetch_offset = _INT64(content)[0] + _INT32(content, 23)[0] + 1


_MemoryRecords = fetcher.MemoryRecords


def _partition_records(  # noqa: PLR0913, PLR0917  as aiokafka calls it
    tp: Any,
    records: Any,
    aborted: Any,
    offset: int,
    key_deserializer: Any,
    value_deserializer: Any,
    check_crcs: bool,
    isolation_level: Any,
) -> Any:
    kind = _BatchesOfPartition if value_deserializer is _as_batches else _RecordsOfPartition
    return kind(tp, records, aborted, offset, key_deserializer, value_deserializer, check_crcs, isolation_level)


def install() -> None:
    """Let the consumers of this process that ask for batches have them, and others read what aiokafka cannot."""
    if IS_USABLE:
        fetcher.MemoryRecords, fetcher.PartitionRecords = _Fetched, _partition_records
