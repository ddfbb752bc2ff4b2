"""The registry as an HTTP server inside an asyncio process: a role among others."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Self

import uvicorn

from bus.errors import BusError
from bus.registry.app import application
from bus.registry.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from bus.config import Settings


class PortTakenError(BusError):
    """The address is taken by another process."""


class RegistryServer:
    """Serves the registry of one cluster; `async with RegistryServer(settings) as server: … server.url`.

    Args:
        port: 0 for a free one; `port` and `url` tell it from the start on.
    """

    def __init__(self, settings: Settings, host: str = "127.0.0.1", port: int = 0) -> None:
        self._host = host
        self.port = port
        self._registry = Registry(settings.kafka)
        self._server = _Server(
            uvicorn.Config(application(self._registry), lifespan="off", log_level="warning", access_log=False)
        )
        self._serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where clients find it."""
        host = "127.0.0.1" if self._host in ("0.0.0.0", "::", "") else self._host  # noqa: S104  (to show, not to bind)
        return f"http://{host}:{self.port}"

    async def start(self) -> None:
        """Read `_schemas` to its end, then listen; requests are answered when this returns.

        Raises:
            PortTakenError: somebody else listens there.
            BrokerUnavailableError: Kafka does not answer.
        """
        listener = _listener(self._host, self.port)
        try:
            await self._registry.start()
        except BaseException:
            listener.close()
            await self._registry.stop()
            raise
        self.port = listener.getsockname()[1]
        self._serving = asyncio.create_task(self._server.serve([listener]), name="registry: serve")
        await self._server.listening.wait()

    async def stop(self) -> None:
        """Answer what is under way, then let go."""
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving
        await self._registry.stop()

    async def wait(self) -> None:
        """Return when the server has ended."""
        if self._serving is not None:
            await asyncio.shield(self._serving)

    async def __aenter__(self) -> Self:
        """Start it."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        await self.stop()


async def serve(
    settings: Settings, host: str = "127.0.0.1", port: int = 8081, on_start: Callable[[str], None] | None = None
) -> None:
    """Serve until cancelled; `on_start` is told the address."""
    async with RegistryServer(settings, host, port) as server:
        if on_start:
            on_start(server.url)
        await server.wait()


class _Server(uvicorn.Server):
    """Leaves the signals to the process that it is a part of, and tells when it listens."""

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


def _listener(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=256)
    except OSError as error:
        raise PortTakenError(
            error.strerror or "", where=f"{host}:{port}", fix="stop that process, or name another port: --port"
        ) from error
