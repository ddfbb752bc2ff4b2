"""The registry as an HTTP server inside an asyncio process: a role among others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bus.http_server import HttpRole, HttpServer
from bus.registry.app import application
from bus.registry.instruments import of_registry
from bus.registry.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from bus.config import Settings


class RegistryServer(HttpRole):
    """Serves the registry of one cluster; `async with RegistryServer(settings) as server: … server.url`.

    Args:
        port: 0 for a free one; `port` and `url` tell it from the start on.
    """

    def __init__(self, settings: Settings, host: str = "127.0.0.1", port: int = 0) -> None:
        self._registry = Registry(settings.kafka)
        super().__init__(HttpServer(application(self._registry), host, port))
        self.instrument = of_registry(self._registry)

    async def start(self) -> None:
        """Read `_schemas` to its end, then listen; requests are answered when this returns.

        Raises:
            PortTakenError: somebody else listens there.
            BrokerUnavailableError: Kafka does not answer.
        """
        self._server.bind()
        try:
            await self._registry.start()
        except BaseException:
            await self._server.stop()
            await self._registry.stop()
            raise
        await self._server.serve("registry: serve")

    async def stop(self) -> None:
        """Answer what is under way, then let go."""
        await self._server.stop()
        await self._registry.stop()


async def serve(
    settings: Settings,
    host: str = "127.0.0.1",
    port: int = 8081,
    on_start: Callable[[RegistryServer], None] | None = None,
) -> None:
    """Serve until cancelled; `on_start` is told when it answers."""
    async with RegistryServer(settings, host, port) as server:
        if on_start:
            on_start(server)
        await server.wait()
