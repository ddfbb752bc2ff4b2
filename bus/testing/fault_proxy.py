"""A TCP proxy that breaks connections on purpose: between an adapter and its source, say."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

CHUNK: Final = 64 * 1024
RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER on, zero seconds: closing sends RST, as when a firewall cuts a connection."""


class FaultProxy:
    """Passes bytes on to a server until it is told not to; `async with FaultProxy(host, port) as proxy: proxy.port`.

    Args:
        host: of the real server.
        port: of the real server.
    """

    def __init__(self, host: str, port: int) -> None:
        self.port = 0
        self.accepted = 0
        """Connections taken so far."""
        self.stall_after: int | None = None
        """Bytes from the server after which it stalls by itself."""
        self._target = (host, port)
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._refusing = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        """Listen on a free port of the loopback."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening, and drop what is open."""
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def open_connections(self) -> int:
        """Connections that pass through now."""
        return len(self._writers) // 2

    def cut(self) -> None:
        """Reset every open connection, both ways; new ones are taken."""
        for writer in list(self._writers):
            raw = writer.transport.get_extra_info("socket")
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()
        self._writers.clear()

    def stall(self) -> None:
        """Pass nothing on, and close nothing: neither side can tell."""
        self._flowing.clear()

    def resume(self) -> None:
        """Pass bytes on again, those held back first."""
        self._flowing.set()

    def refuse(self, *, refusing: bool = True) -> None:
        """Drop new connections at once, as a server that is down."""
        self._refusing = refusing

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        self.accepted += 1
        try:
            there_reader, there_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, there_writer}
        out = self._pass_on(reader, there_writer, counted=False)
        back = self._pass_on(there_reader, writer, counted=True)
        for task in (asyncio.create_task(out), asyncio.create_task(back)):
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                if counted:
                    self._count(len(data))
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        self._writers.discard(writer)
        writer.close()

    def _count(self, size: int) -> None:
        if self.stall_after is None:
            return
        self.stall_after -= size
        if self.stall_after <= 0:
            self.stall_after = None
            self.stall()
