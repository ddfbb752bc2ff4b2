"""The console as a role among others."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from bus.console.app import LOOPBACK, Site, application
from bus.console.watch import INTERVAL, Watch
from bus.control.observer import Observer
from bus.http_server import HttpRole, HttpServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bus.config import Settings
    from bus.console.watch import Observe

STOPPING: Final = 2
"""Seconds that answers under way have when the console ends; the pages' streams end by themselves."""


class ConsoleServer(HttpRole):
    """Serves the console; `async with ConsoleServer(observe) as console: … console.url`.

    Args:
        observe: one look at the bus, taken for all who watch; its `BusError`s are told on the page.
        site: where it is served, and how; `port` and `url` tell from the start on which port it is.
        interval: seconds between two looks.
    """

    def __init__(self, observe: Observe, site: Site = LOOPBACK, interval: float = INTERVAL) -> None:
        self._watch = Watch(observe, interval)
        super().__init__(HttpServer(application(self._watch, site), site.host, site.port, STOPPING))
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen, and begin to look; the page answers when this returns, and says that the first look is under way.

        Raises:
            PortTakenError: somebody else listens there.
        """
        self._server.bind()
        self._watching = asyncio.create_task(self._watch.run(), name="console: watch")
        await self._server.serve("console: serve")

    async def stop(self) -> None:
        """Let go of those who watch, then of the address."""
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
        await self._server.stop()

    async def wait(self) -> None:
        """Return when the server has ended, or raise what ended the looking."""
        assert self._watching is not None
        serving = asyncio.ensure_future(self._server.wait())
        done, _ = await asyncio.wait({serving, self._watching}, return_when=asyncio.FIRST_COMPLETED)
        serving.cancel()
        for task in done:
            if not task.cancelled():
                task.result()


@contextlib.asynccontextmanager
async def open_console(settings: Settings, site: Site = LOOPBACK) -> AsyncIterator[ConsoleServer]:
    """The console of a cluster, served; it comes up whether Kafka answers or not, and says so.

    Raises:
        PortTakenError: somebody else listens there.
    """
    async with Observer(settings) as observer, ConsoleServer(observer.observe, site) as server:
        yield server


async def serve(settings: Settings, site: Site = LOOPBACK, on_start: Callable[[str], None] | None = None) -> None:
    """Serve until cancelled; `on_start` is told the address."""
    async with open_console(settings, site) as server:
        if on_start:
            on_start(server.url)
        await server.wait()
