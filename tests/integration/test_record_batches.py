"""The two seams into aiokafka, held against a real Kafka: whole batches in and out, and plain aiokafka beside them.

Run these first when aiokafka is renewed: `record_batches.KNOWN_AIOKAFKA` says which one they hold for.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import defaultdict
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException, RequestTimedOutError
from aiokafka.protocol.produce import ProduceRequest

from bus.kafka import clients, native, record_batches
from bus.kafka.admin import Admin, NewTopic
from bus.kafka.decompression import MOST_BYTES
from bus.kafka.native import Packed
from bus.pipeline import transaction
from bus.pipeline.record import Output
from bus.testing.topics import read_topic
from bus.testing.waiting import until
from tests.rejects_office import DLQ, SHARED, VIEW, reject_office

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from pathlib import Path

    from aiokafka import AIOKafkaConsumer

    from bus.config import Connection, Settings
    from bus.pipeline.record import Made
    from bus.testing.topics import TopicRecord

pytestmark = pytest.mark.skipif(not record_batches.IS_USABLE, reason="whole batches cannot be had here")

CODECS = ["gzip", "snappy", "lz4", "zstd"]
NOW = 1_700_000_000_000

Told = tuple[int, bytes | None, bytes | None, tuple[tuple[str, bytes | None], ...]]


class Log:
    """A topic of one partition, to be written in several ways and read in two."""

    def __init__(self, connection: Connection, topic: str) -> None:
        self.connection = connection
        self.topic = topic
        self.place = clients.TopicPartition(topic, 0)

    @contextlib.asynccontextmanager
    async def producer(self, name: str | None = None, compression: str = "none") -> AsyncIterator[Any]:
        """One of aiokafka's; with a name it writes in transactions."""
        connection = self.connection.model_copy(update={"compression": compression})
        made = clients.producer(connection, name and f"{self.topic}-{name}")
        async with clients.started(made, self.connection):
            yield made

    async def write(self, producer: Any, *values: bytes | None, key: bytes | None = b"k") -> None:
        """Records of aiokafka's, in one batch."""
        batch = producer.create_batch()
        for number, value in enumerate(values):
            assert batch.append(timestamp=NOW, key=key, value=value, headers=[("n", b"%d" % number), ("none", None)])
        await (await producer.send_batch(batch, self.topic, partition=0))

    async def write_ours(self, producer: Any, *values: bytes | None, key: bytes | None = b"k") -> None:
        """Records in batches of ours, as a lane sends them."""
        outputs = [Output(self.topic, 0, key, value, [("n", b"1")]) for value in values]
        await asyncio.gather(*await transaction.send(producer, outputs, NOW))

    async def end(self) -> int:
        """The offset behind all that is committed or aborted; the broker may still be about to write its marker."""
        ends: list[int] = []

        async def are_alike() -> bool:
            ends[:] = [await self._end(level) for level in ("read_uncommitted", "read_committed")]
            return ends[0] == ends[1]

        await until(are_alike, within=10, what="the markers of all transactions")
        return ends[0]

    async def _end(self, level: str) -> int:
        async with self._consumer({"isolation_level": level}) as consumer:
            return int((await consumer.end_offsets([self.place]))[self.place])

    async def plain(self, first: int = 0, **settings: Any) -> tuple[list[Told], int]:
        """What a plain consumer of aiokafka sees from an offset on, and its position then."""
        async with self._consumer(settings) as consumer:
            return await self._read(consumer, first, lambda fetched: fetched)

    async def in_batches(self, first: int = 0, **settings: Any) -> tuple[list[Told], int]:
        """The same of one that fetches whole batches."""
        async with self._consumer(settings | record_batches.fetching()) as consumer:
            return await self._read(consumer, first, _one_by_one)

    @contextlib.asynccontextmanager
    async def _consumer(self, settings: dict[str, Any]) -> AsyncIterator[AIOKafkaConsumer]:
        made = clients.consumer(self.connection, fetch_max_wait_ms=50, **settings)
        async with clients.started(made, self.connection):
            made.assign([self.place])
            yield made

    async def _read(
        self, consumer: AIOKafkaConsumer, first: int, records_of: Callable[[list[Any]], Iterable[Any]]
    ) -> tuple[list[Told], int]:
        end, found = (await consumer.end_offsets([self.place]))[self.place], list[Told]()
        consumer.seek(self.place, first)

        async def is_read() -> bool:
            for fetched in (await consumer.getmany(timeout_ms=50)).values():
                found.extend((each.offset, each.key, each.value, each.headers) for each in records_of(fetched))
                last = found[-1][0] if found else first
                assert last < await consumer.position(self.place) <= end
            return bool(await consumer.position(self.place) >= end)

        await until(is_read, within=20, what=f"the position {end}")
        return found, await consumer.position(self.place)

    async def is_read_alike(self, first: int = 0, **settings: Any) -> list[Told]:
        """What both see, which must be the same; and where they stand then."""
        await self.end()
        plain, ours = await self.plain(first, **settings), await self.in_batches(first, **settings)
        assert ours == plain
        return plain[0]


def _one_by_one(fetched: list[Any]) -> Iterable[Any]:
    for batch in fetched:
        assert isinstance(batch, record_batches.FetchedBatch), "the seam is gone: these are aiokafka's own records"
        yield from batch.records()


@pytest.fixture
async def log(kafka_connection: Connection, unique: Callable[[str], str]) -> Log:
    topic = unique("batches")
    await asyncio.to_thread(Admin(kafka_connection).create_topics, [NewTopic(topic, 1, {})])
    return Log(kafka_connection, topic)


def _values(records: list[Told]) -> list[bytes | None]:
    return [each[2] for each in records]


async def test_transactions_of_several_producers_are_seen_as_aiokafka_sees_them(log: Log) -> None:
    """Committed and aborted ones, begun and ended across each other; and all of them when it is asked for that."""
    async with log.producer("a") as a, log.producer("b") as b, log.producer() as plain:
        for turn in range(4):
            await a.begin_transaction()
            await b.begin_transaction()
            for producer, name in ((a, b"a"), (b, b"b"), (plain, b"-"), (a, b"a"), (b, b"b")):
                await log.write(producer, name + b"%d" % turn, None, b"")
            await (a.abort_transaction() if turn % 2 else a.commit_transaction())
            await log.write(b, b"b%d behind" % turn)
            await (b.commit_transaction() if turn % 3 else b.abort_transaction())

    seen = await log.is_read_alike()
    names = {value for value in _values(seen) if value}
    assert names == {b"a0", b"a2", b"b1", b"b2", b"b1 behind", b"b2 behind", *(b"-%d" % turn for turn in range(4))}
    everything = await log.is_read_alike(isolation_level="read_uncommitted")
    assert len(everything) == 4 * (5 * 3 + 1)
    for first in range(0, await log.end(), 7):
        await log.is_read_alike(first)


@pytest.mark.parametrize("ends", [["abort"], ["abort", "abort"], ["commit", "abort"], ["empty commit"]])
async def test_a_position_goes_on_over_what_is_not_seen(log: Log, ends: list[str]) -> None:
    """Else a lane would commit an offset before it, and wait for ever to have read all."""
    async with log.producer("a") as producer:
        for end in ends:
            await producer.begin_transaction()
            await log.write(producer, b"1", b"2")
            await (producer.abort_transaction() if end == "abort" else producer.commit_transaction())

    seen = await log.is_read_alike()
    assert len(seen) == 2 * sum(end != "abort" for end in ends)
    assert (await log.in_batches())[1] == 3 * len(ends)


@pytest.mark.parametrize("codec", CODECS)
async def test_compressed_batches_are_read_and_written(log: Log, codec: str) -> None:
    values = [b"text" * 300 + b"%d" % number for number in range(50)]
    async with log.producer(compression=codec) as producer:
        await log.write(producer, *values)
        await log.write_ours(producer, *values)
        sizes = await _sizes(log)

    assert _values(await log.is_read_alike()) == values * 2
    assert len(sizes) == 2
    assert max(sizes) < 20_000, "neither of them is 60,000 bytes"
    for first in (1, 49, 51, 99):
        assert len(await log.is_read_alike(first)) == 100 - first


async def _sizes(log: Log) -> list[int]:
    """Of the batches as the broker hands them out."""
    found: list[int] = []
    before = fetcher.MemoryRecords

    def looked_at(content: bytes) -> Any:
        place = 0
        while place < len(content):
            size = 12 + int.from_bytes(content[place + 8 : place + 12], "big")
            found.append(size)
            place += size
        return before(content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetcher, "MemoryRecords", looked_at)
        await log.in_batches()
    return found


async def test_large_and_empty_records_and_null_keys_are_read_alike(log: Log) -> None:
    large = os.urandom(1_000_000)
    async with log.producer() as producer, log.producer(compression="lz4") as packing:
        for write, by in ((log.write, producer), (log.write_ours, producer), (log.write_ours, packing)):
            await write(by, large)
            await write(by, b"", None, key=None)
            await write(by, None, b"x", key=b"")

    assert _values(await log.is_read_alike()) == [large, b"", None, None, b"x"] * 3
    assert len(await log.is_read_alike(max_partition_fetch_bytes=1_000)) == 15, "the broker gives at least one batch"


async def test_a_batch_that_nobody_can_read_is_one_record_to_be_rejected(log: Log) -> None:
    async with log.producer(compression="zstd") as producer:
        await log.write_ours(producer, bytes(MOST_BYTES), b"good")

    await log.end()
    (unread, good), _ = await log.in_batches()
    assert unread[:3] == (0, None, b"")
    ((name, told),) = unread[3]
    assert name == record_batches.UNREAD
    assert b"offsets 0 to 0 cannot be read" in (told or b"")
    assert (good[0], good[2]) == (1, b"good")


async def test_reading_begins_in_the_middle_of_a_batch(log: Log) -> None:
    async with log.producer() as producer:
        for batch in range(3):
            await log.write(producer, *(b"%d" % (5 * batch + number) for number in range(5)))

    for first in range(16):
        assert _values(await log.is_read_alike(first)) == [b"%d" % number for number in range(first, 15)]


@pytest.mark.long
async def test_a_compacted_topic_is_read_alike(kafka_connection: Connection, unique: Callable[[str], str]) -> None:
    """The broker leaves gaps within batches, and batches without records where a producer wrote last."""
    log = Log(kafka_connection, unique("compacted"))
    soon = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.001", "segment.ms": "100"}
    soon |= {"min.compaction.lag.ms": "0", "max.compaction.lag.ms": "200", "delete.retention.ms": "0"}
    await asyncio.to_thread(Admin(kafka_connection).create_topics, [NewTopic(log.topic, 1, soon)])
    times = count(int(time.time() * 1000) - 600_000, 250)  # a segment's time passes by its records' timestamps
    async with log.producer() as producer:

        async def is_compacted() -> bool:
            keys = [b"%d" % number if number % 5 else os.urandom(8) for number in range(30)]  # every fifth one stays
            outputs = [Output(log.topic, 0, key, b"v", []) for key in keys]
            await asyncio.gather(*await transaction.send(producer, outputs, next(times)))
            (first, *_, last) = seen = (await log.plain())[0]
            return bool(last[0] - first[0] >= len(seen))

        await until(is_compacted, within=45, what="the cleaner has been at work")

    end = (await log.is_read_alike())[-1][0]
    for first in range(0, end, end // 10):
        await log.is_read_alike(first)


@pytest.mark.parametrize("place", [21, 22, 43, 50, -1], ids=["attributes", "codec", "producer", "epoch", "value"])
async def test_a_damaged_batch_is_told_and_none_behind_it_is_taken(
    log: Log, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    """Wherever the damage is: in its attributes it may look like a marker, or like something aborted."""
    async with log.producer("a") as producer:
        for values in ((b"one",), (b"two", b"three"), (b"four",)):
            await producer.begin_transaction()
            await log.write(producer, *values)
            await producer.commit_transaction()

    _damage(monkeypatch, b"three", place)
    async with log._consumer(record_batches.fetching()) as consumer:
        consumer.seek(log.place, 2)
        for _ in range(3):
            with pytest.raises(CorruptRecordException, match=log.topic):
                await _first_of(consumer)
            assert await consumer.position(log.place) == 2
        monkeypatch.undo()
        assert [each.value for each in (await _first_of(consumer))[0].records()] == [b"two", b"three"]


@pytest.mark.parametrize("bits", [0x20, 0x30])
async def test_a_batch_that_damage_makes_a_marker_is_not_left_out(
    log: Log, monkeypatch: pytest.MonkeyPatch, bits: int
) -> None:
    async with log.producer() as producer:
        await log.write(producer, b"three")
        await log.write(producer, b"four")
    _damage(monkeypatch, b"three", 22, bits)
    async with log._consumer(record_batches.fetching()) as consumer:
        consumer.seek(log.place, 0)
        with pytest.raises(CorruptRecordException):
            await _first_of(consumer)
        assert await consumer.position(log.place) == 0


def _damage(monkeypatch: pytest.MonkeyPatch, holding: bytes, place: int, bits: int = 0x21) -> None:
    """Of the fetched batch that holds some bytes, flip bits at a place; -1 is its last byte."""
    before = fetcher.MemoryRecords

    def damaged(content: bytes) -> Any:
        made, start = bytearray(content), 0
        while start < len(made):
            end = start + 12 + int.from_bytes(made[start + 8 : start + 12], "big")
            if holding in made[start:end]:
                made[start + place if place >= 0 else end - 1] ^= bits
            start = end
        return before(bytes(made))

    monkeypatch.setattr(fetcher, "MemoryRecords", damaged)


async def _first_of(consumer: AIOKafkaConsumer) -> list[Any]:
    """The first that it hands out."""
    found: list[Any] = []

    async def is_there() -> bool:
        for fetched in (await consumer.getmany(timeout_ms=50)).values():
            found.extend(fetched)
        return bool(found)

    await until(is_there, within=10)
    return found


async def test_other_consumers_of_the_process_have_records(log: Log) -> None:
    async with log.producer() as producer:
        await log.write(producer, b"1")
    async with log._consumer({}) as plain, log._consumer(record_batches.fetching()) as ours:
        for consumer in (plain, ours):
            consumer.seek(log.place, 0)
        (record,), (batch,) = await _first_of(plain), await _first_of(ours)
    assert type(record).__name__ == "ConsumerRecord"
    assert (record.offset, record.timestamp, record.value) == (0, NOW, batch.records()[0].value)


async def test_a_large_transaction_is_split_and_its_numbers_follow_each_other(log: Log) -> None:
    """The broker refuses a gap among a producer's sequence numbers, and takes a batch that comes twice for one."""
    values = [b"%06d" % number * 1_000 for number in range(600)]
    async with log.producer("a") as producer:
        for _ in range(2):
            await producer.begin_transaction()
            await log.write_ours(producer, *values)
            await log.write(producer, b"aiokafka's between")
            await producer.commit_transaction()

    assert _values(await log.is_read_alike()) == [*values, b"aiokafka's between"] * 2
    assert len([size for size in await _sizes(log) if size > 100_000]) >= 2 * 4


@pytest.mark.parametrize("is_transactional", [True, False])
async def test_a_batch_whose_answer_was_lost_is_sent_again_and_there_once(
    log: Log, monkeypatch: pytest.MonkeyPatch, is_transactional: bool
) -> None:
    async with log.producer("a" if is_transactional else None) as producer:
        sent = _losing_answers(producer, monkeypatch, 2)
        for value in (b"one", b"two", b"three"):
            if is_transactional:
                await producer.begin_transaction()
            await log.write_ours(producer, value, value)
            if is_transactional:
                await producer.commit_transaction()

    assert _values(await log.is_read_alike()) == [each for name in (b"one", b"two", b"three") for each in [name] * 2]
    assert len(sent) == 5, "two of three were sent twice"
    assert len(set(sent)) == 3, "with the same bytes"


def _losing_answers(producer: Any, monkeypatch: pytest.MonkeyPatch, count: int) -> list[bytes]:
    """The broker's answers to the first so many batches are lost; the batches sent, in their order."""
    send, sent, lost = producer.client.send, list[bytes](), defaultdict[bytes, int](int)

    async def losing(node: Any, request: Any, **group: Any) -> Any:
        answer = await send(node, request, **group)
        if isinstance(request, ProduceRequest):
            ((_, ((_, content),)),) = request._topics
            sent.append(bytes(content))
            lost[bytes(content)] += 1
            if lost[bytes(content)] == 1 and len(lost) <= count:
                raise RequestTimedOutError
        return answer

    monkeypatch.setattr(producer.client, "send", losing)
    return sent


async def test_the_plain_way_out_writes_the_same(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """With another aiokafka than the one known, batches are its own: `create_batch`, `append`."""

    def outputs() -> list[Made]:
        packed = Packed(log.topic, 0)
        packed.append(b"k", b"packed", [("n", b"1")])
        some = Output(log.topic, 0, b"k", b"loose", [("n", b"2")])
        return [some, packed, Output(log.topic, 0, b"k", None, []), *[some] * 20_000]

    async with log.producer("a") as producer:
        for is_usable in (True, False):
            monkeypatch.setattr(record_batches, "IS_USABLE", is_usable)
            await producer.begin_transaction()
            await asyncio.gather(*await transaction.send(producer, outputs(), NOW))
            await producer.commit_transaction()
    monkeypatch.undo()

    seen = [each[1:] for each in await log.is_read_alike()]
    assert len(seen) == 2 * 20_003
    assert seen[:20_003] == seen[20_003:]


async def _by_key(settings: Settings, topic: str, count: int) -> list[tuple[Any, ...]]:
    """So many records of a topic, those of a key in their order: the order of keys in a view depends on its filling."""
    found: list[TopicRecord] = []

    async def are_there() -> bool:
        found[:] = await read_topic(settings, topic, decode=False)
        return len(found) >= count

    await until(are_there, within=40, what=f"{count} records of {topic}")
    found.sort(key=lambda each: (each.partition, each.key))
    return [(each.partition, each.key, each.raw, sorted(each.headers.items())) for each in found]


UNKNOWN_AIOKAFKA = """
import aiokafka
aiokafka.__version__ = "0.99.0"
from bus.kafka import record_batches
open(f"{__file__}.{record_batches.IS_USABLE}", "w").close()
"""


@pytest.mark.timeout(180)
async def test_lanes_do_the_same_with_an_aiokafka_that_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By two workers through both stages, one the plain way.

    Of four rows one is right, one a woman's under a man's number, one has a sex that is no code, one is deleted.
    """
    made: dict[str, list[Any]] = {}
    rows: list[tuple[int, str | None, str, str]] = [
        (serial % 40, ["1", "2", "甲", None][serial % 4], f"王{serial}", "u") for serial in range(200)
    ]
    for name, customised in (("whole", ""), ("plain", UNKNOWN_AIOKAFKA)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(customised)
        monkeypatch.setenv("PYTHONPATH", str(folder))
        async with reject_office(folder) as office:
            await office.publish_all(rows)
            office.worker()
            made[name] = []
            for topic, count in ((SHARED, 100), (VIEW, 100), (DLQ, 100)):
                made[name].append(await _by_key(office.settings, topic, count))
        assert (folder / "sitecustomize.py.False").exists() == (name == "plain")
    assert made["whole"] == made["plain"]


def test_the_aiokafka_that_is_installed_is_the_one_known() -> None:
    """Otherwise everything works, slower; then hold this file against the new one, and say so in `KNOWN_AIOKAFKA`."""
    assert native.IS_BUILT
    assert record_batches.IS_USABLE
