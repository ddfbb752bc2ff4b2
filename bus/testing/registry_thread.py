"""A registry in a thread of its own, for synchronous tests."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Self

from bus.config import Settings
from bus.registry.server import RegistryServer

if TYPE_CHECKING:
    from types import TracebackType

    from bus.config import Connection

WITHIN_SECONDS = 30.0


class RegistryThread:
    """Our registry over a cluster, on a free port; `with RegistryThread(connection) as registry: … registry.url`."""

    def __init__(self, connection: Connection) -> None:
        self.url = ""
        self._settings = Settings(kafka=connection)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="registry", daemon=True)

    def __enter__(self) -> Self:
        """Start it.

        Raises:
            BrokerUnavailableError: Kafka does not answer.
        """
        self._thread.start()
        self.url = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(WITHIN_SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result(WITHIN_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WITHIN_SECONDS)
        self._loop.close()

    async def _start(self) -> str:
        self._server = RegistryServer(self._settings)
        await self._server.start()
        return self._server.url
