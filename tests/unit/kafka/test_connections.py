"""A connection to a broker cuts what comes into answers, and keeps nothing of one that was taken."""

from __future__ import annotations

import asyncio
import importlib
import random
import tracemalloc
import weakref
from typing import TYPE_CHECKING, Any
from unittest.mock import ANY, Mock

import aiokafka
import pytest
from aiokafka import conn
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from bus.kafka.connections import SMALL_BYTES, AnswersProtocol, ForgetfulConnection
from bus.kafka.record_batches import KNOWN_AIOKAFKA
from bus.testing.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SIZE = 4_000_000
SIZES = (0, 1, 3, 4, 100, SMALL_BYTES - 5, SMALL_BYTES - 4, SMALL_BYTES - 3, SMALL_BYTES, 3 * SMALL_BYTES, 700_000)


class Owner:
    """What reading needs of a connection."""

    def __init__(self, protocol: type[Any] = AnswersProtocol) -> None:
        loop = asyncio.get_running_loop()
        self._reader = asyncio.StreamReader()
        self._protocol = protocol(loop.create_future(), self._reader, loop=loop)
        self.answers: list[bytes] = []
        self.sizes: list[int] = []
        self.keeps = True

    def feed(self, content: bytes) -> None:
        """As a transport does."""
        if not isinstance(self._protocol, asyncio.BufferedProtocol):
            self._protocol.data_received(content)
            return
        while content:
            room = memoryview(self._protocol.get_buffer(-1))
            some = content[: len(room)]
            room[: len(some)] = some
            content = content[len(some) :]
            del room
            self._protocol.buffer_updated(len(some))

    def _handle_frame(self, answer: bytes) -> None:
        self.sizes.append(len(answer))
        if self.keeps:
            self.answers.append(answer)


def framed(answer: bytes) -> bytes:
    return len(answer).to_bytes(4, "big") + answer


async def read(pieces: Sequence[bytes]) -> list[bytes]:
    """The answers that are cut out of what comes in these pieces."""
    owner = Owner()
    task = asyncio.create_task(ForgetfulConnection._read(weakref.ref(owner)))
    for piece in pieces:
        owner.feed(piece)
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    return owner.answers


@pytest.mark.parametrize("seed", range(20))
async def test_answers_are_the_same_whatever_the_pieces_are_in_which_they_come(seed: int) -> None:
    chance = random.Random(seed)
    answers = [chance.randbytes(size) for size in chance.choices(SIZES, k=12)]
    sent = b"".join(map(framed, answers))
    cuts = sorted(chance.randrange(len(sent)) for _ in range(chance.choice((0, 3, 40))))

    assert await read([sent[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]) == answers


async def test_answers_that_come_byte_by_byte() -> None:
    answers = [b"", b"one", b"", bytes(range(256))]

    assert await read([bytes([byte]) for byte in b"".join(map(framed, answers))]) == answers


@pytest.mark.parametrize("rest", [b"", b"\0\0", framed(b"cut off")[:-1], framed(bytes(SIZE))[:SIZE]])
async def test_what_came_whole_is_handed_over_before_the_end_is_told(rest: bytes) -> None:
    owner = Owner()
    task = asyncio.create_task(ForgetfulConnection._read(weakref.ref(owner)))
    owner.feed(framed(b"whole") + rest)
    owner._protocol.eof_received()

    with pytest.raises(EOFError):
        await asyncio.wait_for(task, 5)
    assert owner.answers == [b"whole"]


async def test_a_broken_connection_is_told_as_such() -> None:
    owner = Owner()
    task = asyncio.create_task(ForgetfulConnection._read(weakref.ref(owner)))
    await asyncio.sleep(0)
    owner._protocol.connection_lost(ConnectionResetError("cut"))

    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(task, 5)


async def test_an_answer_of_less_than_no_bytes_ends_the_connection() -> None:
    owner = Owner()

    with pytest.raises(ConnectionError):
        owner.feed(b"\xff\xff\xff\xff")


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


async def held(connection: type[Any], protocol: type[Any]) -> int:
    """Bytes that are held once an answer was taken, and no other has come."""
    owner = Owner(protocol)
    owner.keeps = False
    task = asyncio.create_task(connection._read(weakref.ref(owner)))
    await asyncio.sleep(0)
    before = tracemalloc.get_traced_memory()[0]
    owner.feed(framed(bytes(SIZE)))
    await until(lambda: owner.sizes, within=5)
    after = tracemalloc.get_traced_memory()[0] - before
    owner.feed(framed(b"next"))
    await until(lambda: len(owner.sizes) == 2, within=5)
    task.cancel()
    assert owner.sizes == [SIZE, 4]
    return after


@pytest.mark.usefixtures("traced")
async def test_an_answer_that_was_taken_is_let_go() -> None:
    assert await held(ForgetfulConnection, AnswersProtocol) < SIZE / 100


@pytest.mark.usefixtures("traced")
async def test_aiokafkas_own_connection_still_keeps_it() -> None:
    """Once it does not, ours has less of a reason."""
    assert await held(ForgetfulConnection.__mro__[1], AnswersProtocol.__mro__[1]) > SIZE


async def test_reading_ends_with_the_connection() -> None:
    owner = Owner()
    task = asyncio.create_task(ForgetfulConnection._read(weakref.ref(owner)))
    await asyncio.sleep(0)
    owner.feed(framed(b"last"))
    del owner
    await asyncio.wait_for(task, 5)


class Writer:
    """What sending needs of a stream."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def write(self, content: bytes | memoryview) -> None:
        self.sent.append(bytes(content))

    async def drain(self) -> None:
        return


def connected(kind: type[Any]) -> Any:
    one = kind("localhost", 9092, client_id="bus")
    one._writer, one._versions = Writer(), {MetadataRequest.API_KEY: (0, 5)}
    return one


async def test_a_request_is_sent_as_aiokafka_sends_it() -> None:
    ours, theirs = connected(ForgetfulConnection), connected(ForgetfulConnection.__mro__[1])

    for expects in (True, False):
        for each in (ours, theirs):
            each.send(MetadataRequest(["raw.gongan.population"]), expects).close()

    assert ours._writer.sent == theirs._writer.sent
    assert [waiting[:2] for waiting in ours._requests] == [(1, ANY)] == [waiting[:2] for waiting in theirs._requests]


async def test_a_request_on_a_closed_or_broken_connection_is_refused() -> None:
    closed, broken = connected(ForgetfulConnection), connected(ForgetfulConnection)
    closed._writer = None
    broken._writer.write = Mock(side_effect=ConnectionResetError("cut"))

    for each, told in ((closed, "No connection"), (broken, "cut")):
        with pytest.raises(KafkaConnectionError, match=told):
            each.send(MetadataRequest([]))


def test_every_client_of_this_process_has_such_connections() -> None:
    importlib.import_module("bus.kafka.clients")

    assert aiokafka.__version__.startswith(KNOWN_AIOKAFKA)
    assert conn.AIOKafkaConnection is ForgetfulConnection
    assert conn.AIOKafkaProtocol is AnswersProtocol
