"""An HTTP server inside an asyncio process: what the registry and the console are as roles."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

import uvicorn

from bus.errors import BusError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from starlette.types import ASGIApp


class PortTakenError(BusError):
    """The address is taken by another process."""


class HttpServer:
    """Serves an application; it leaves the signals to the process that it is a part of.

    Args:
        application: what answers.
        host: address to listen on.
        port: 0 for a free one; `port` and `url` tell it once `bind` has returned.
        grace: seconds that answers under way have to end when it is stopped.
    """

    def __init__(self, application: ASGIApp, host: str, port: int, grace: int | None = None) -> None:
        self._host = host
        self.port = port
        self._server = _Server(
            uvicorn.Config(
                application,
                lifespan="off",
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=grace,
            )
        )
        self._listener: socket.socket | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where clients find it."""
        host = "127.0.0.1" if self._host in ("0.0.0.0", "::", "") else self._host  # noqa: S104  (to show, not to bind)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def bind(self) -> None:
        """Take the address; nobody is answered yet.

        Raises:
            PortTakenError: somebody else listens there.
        """
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            self._listener = socket.create_server((self._host, self.port), family=family, backlog=256)
        except OSError as error:
            raise PortTakenError(
                error.strerror or "",
                where=f"{self._host}:{self.port}",
                fix="stop that process, or name another port: --port (of `bus up`: --registry-port, --console-port)",
            ) from error
        # Connections take it over. asyncio sets it only where a socket says that it is TCP, which this one does not; an
        # answer's body would wait 40 ms for its head to be acknowledged.
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = self._listener.getsockname()[1]

    async def serve(self, name: str) -> None:
        """Answer; requests are answered when this returns."""
        assert self._listener is not None
        self._serving = asyncio.create_task(self._server.serve([self._listener]), name=name)
        await self._server.listening.wait()

    async def stop(self) -> None:
        """Answer what is under way, then let go of the address."""
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving
        elif self._listener is not None:
            self._listener.close()

    async def wait(self) -> None:
        """Return when the server has ended."""
        if self._serving is not None:
            await asyncio.shield(self._serving)


class HttpRole(ABC):
    """A role that is an HTTP server with something behind it; `async with role: … role.url`.

    Args:
        server: not bound yet.
    """

    def __init__(self, server: HttpServer) -> None:
        self._server = server

    @property
    def port(self) -> int:
        """Where it listens, from the start on."""
        return self._server.port

    @property
    def url(self) -> str:
        """Where clients find it, from the start on."""
        return self._server.url

    @abstractmethod
    async def start(self) -> None:
        """Begin; requests are answered when this returns.

        Raises:
            PortTakenError: somebody else listens there.
        """

    @abstractmethod
    async def stop(self) -> None:
        """Let go of the address, and of what is behind it."""

    async def wait(self) -> None:
        """Return when the server has ended."""
        await self._server.wait()

    async def __aenter__(self) -> Self:
        """Start it."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        await self.stop()


class _Server(uvicorn.Server):
    """Leaves the signals alone, and tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield
