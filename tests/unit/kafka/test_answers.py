"""A connection to a broker keeps nothing of an answer that was taken."""

from __future__ import annotations

import asyncio
import importlib
import tracemalloc
import weakref
from typing import TYPE_CHECKING, Any

import aiokafka
import pytest
from aiokafka import conn

from bus.kafka.answers import ForgetfulConnection
from bus.kafka.record_batches import KNOWN_AIOKAFKA
from bus.testing.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 4_000_000


class Owner:
    """What reading needs of a connection."""

    def __init__(self) -> None:
        self._reader = asyncio.StreamReader()
        self.sizes: list[int] = []

    def feed(self, answer: bytes) -> None:
        self._reader.feed_data(len(answer).to_bytes(4, "big") + answer)

    def _handle_frame(self, answer: bytes) -> None:
        self.sizes.append(len(answer))


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


async def kept(reads: type[Any]) -> int:
    """Bytes that are held once an answer was taken, and no other has come."""
    owner = Owner()
    task = asyncio.create_task(reads._read(weakref.ref(owner)))
    await asyncio.sleep(0)
    before = tracemalloc.get_traced_memory()[0]
    owner.feed(bytes(SIZE))
    await until(lambda: owner.sizes, within=5)
    held = tracemalloc.get_traced_memory()[0] - before
    owner.feed(b"next")
    await until(lambda: len(owner.sizes) == 2, within=5)
    task.cancel()
    assert owner.sizes == [SIZE, 4]
    return held


@pytest.mark.usefixtures("traced")
async def test_an_answer_that_was_taken_is_let_go() -> None:
    assert await kept(ForgetfulConnection) < SIZE / 100


@pytest.mark.usefixtures("traced")
async def test_aiokafkas_own_connection_still_keeps_it() -> None:
    """Once it does not, ours is not needed any more."""
    assert await kept(ForgetfulConnection.__mro__[1]) > SIZE


async def test_reading_ends_with_the_connection() -> None:
    owner = Owner()
    task = asyncio.create_task(ForgetfulConnection._read(weakref.ref(owner)))
    await asyncio.sleep(0)
    owner.feed(b"last")
    del owner
    await asyncio.wait_for(task, 5)


def test_every_client_of_this_process_has_such_connections() -> None:
    importlib.import_module("bus.kafka.clients")

    assert aiokafka.__version__.startswith(KNOWN_AIOKAFKA)
    assert conn.AIOKafkaConnection is ForgetfulConnection
