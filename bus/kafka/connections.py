"""aiokafka's connection to a broker, which copies what goes and comes as few times as can be, and does not keep it.

aiokafka 0.14 reads an answer in pieces, adds them up, copies it out of the sum, and holds that, beside what it made of
it, until the next answer begins. For a fetch these are megabytes, at each connection, for as long as its records are
worked on. A worker with many lanes has many of them. Here the room for a large answer is made once its size is known.

And it puts a request's size and header before it by copying it twice, and asyncio copies once more what the socket does
not take at once. For a produce request these are megabytes, too.
"""

from __future__ import annotations

import asyncio
from collections import deque
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from aiokafka import conn
from aiokafka.errors import KafkaConnectionError
from aiokafka.util import wait_for

from bus.kafka import native
from bus.kafka.protocol import framed
from bus.kafka.record_batches import IS_KNOWN_AIOKAFKA

if TYPE_CHECKING:
    from collections.abc import Callable

_SIZE: Final = Struct(">i")
_Room: Any = native.Room if native.IS_BUILT else bytearray

SMALL_BYTES: Final = 16 * 1024
"""Answers up to that size, with the four bytes before them, are read several at once, and copied."""


class AnswersProtocol(conn.AIOKafkaProtocol, asyncio.BufferedProtocol):
    """Cuts what the broker sends into answers: four bytes with the size of what follows, and that.

    Of its stream reader nothing is used but how the connection has ended.
    """

    def __init__(self, closed: asyncio.Future[None], reader: asyncio.StreamReader, **settings: Any) -> None:
        super().__init__(closed, reader, **settings)
        self._reader = reader
        self._small = memoryview(bytearray(SMALL_BYTES))
        self._read = 0
        self._room = memoryview(b"")
        self._answers: deque[bytes] = deque()
        self._wanted: asyncio.Future[None] | None = None

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  as asyncio calls it
        """Where the next bytes go; never empty."""
        return (self._room or self._small)[self._read :]

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes have come."""
        self._read += nbytes
        if not self._room:
            self._cut()
        elif self._read == len(self._room):
            self._answers.append(bytes(self._room.obj))
            self._room, self._read = memoryview(b""), 0
        if self._answers:
            self._wake()

    def _cut(self) -> None:
        """Take the answers out of the small room; what there is of one that is too large for it goes to its own."""
        begin = 0
        while self._read - begin >= _SIZE.size:
            (size,) = _SIZE.unpack_from(self._small, begin)
            if size < 0:
                raise ConnectionError("an answer of less than no bytes")
            content = self._small[begin + _SIZE.size : self._read]
            if len(content) < size:
                if _SIZE.size + size > SMALL_BYTES:
                    self._room, self._read = memoryview(_Room(size)), len(content)
                    self._room[: len(content)] = content
                    return
                break
            self._answers.append(bytes(content[:size]))
            begin += _SIZE.size + size
        rest = bytes(self._small[begin : self._read])
        self._read = len(rest)
        self._small[: len(rest)] = rest

    async def answer(self) -> bytes:
        """The next answer.

        Raises:
            EOFError: the broker has closed the connection.
            OSError: it has ended otherwise.
        """
        while not self._answers:
            if (error := self._reader.exception()) is not None:
                raise error
            if self._reader.at_eof():
                raise EOFError
            self._wanted = asyncio.get_running_loop().create_future()
            await self._wanted
        return self._answers.popleft()

    def eof_received(self) -> bool | None:
        """The broker sends no more."""
        stays: bool | None = super().eof_received()
        self._wake()
        return stays

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        super().connection_lost(exc)
        self._wake()

    def _wake(self) -> None:
        if self._wanted is not None and not self._wanted.done():
            self._wanted.set_result(None)


class ForgetfulConnection(conn.AIOKafkaConnection):
    """Joins a request with what goes before it once, and lets go of an answer once it is decoded."""

    def send(self, request: Any, expect_response: bool = True) -> Any:
        """Send a request; what is returned is awaited for its answer.

        Raises:
            KafkaConnectionError: the connection is closed, or breaks.
        """
        if self._writer is None:
            return super().send(request, expect_response)  # says so
        described = request.prepare(self._versions)
        number = self._next_correlation_id()
        header = described.build_request_header(correlation_id=number, client_id=self._client_id)
        try:
            self._writer.write(memoryview(framed(header, described)))
        except OSError as error:
            self.close(reason=conn.CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError(f"Connection at {self._host}:{self._port} broken: {error}") from error
        if not expect_response:
            return self._writer.drain()
        answered = self._loop.create_future()
        self._requests.append((number, described, answered))
        return wait_for(answered, self._request_timeout)

    @staticmethod
    async def _read(self_ref: Callable[[], Any]) -> None:
        """Read answers until the connection is closed, or nobody has it any more (it is held weakly)."""
        if (owner := self_ref()) is None:
            return
        protocol = owner._protocol  # noqa: SLF001  our own
        del owner
        while True:
            answer = await protocol.answer()
            if (owner := self_ref()) is None:
                return
            owner._handle_frame(answer)  # noqa: SLF001  our own
            del owner, answer


def install() -> None:
    """Let every client of this process have such connections, if aiokafka is the one that is known."""
    if IS_KNOWN_AIOKAFKA:
        conn.AIOKafkaProtocol = AnswersProtocol
        conn.AIOKafkaConnection = ForgetfulConnection
