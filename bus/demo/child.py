"""`bus up` and `bus console` as child processes, as a user would run them; they end with us, even if we are killed."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Final, Self

from bus.children import BusProcess
from bus.config import Settings
from bus.credentials import SUPERUSER, found_login
from bus.errors import BusError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType


CONSOLE_TOLD: Final = "the console serves "

DEMO_LANES: Final = "1"
"""A cluster's default is 16, for many workers; on one small machine each lane is a transaction more."""


class BusDiedError(BusError):
    """A process of the demo's bus ended by itself."""


class BusChild:
    """A `bus …` process as a user would run it; it ends with us. Ctrl-C is for the demo, which then stops it in order.

    Args:
        name: of its log, in the folder.
        folder: for the log.
        arguments: of `bus`.
        environment: added to ours.
    """

    def __init__(self, name: str, folder: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self._process = BusProcess(tuple(arguments), os.environ | dict(environment), folder / f"{name}.log")

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def told(self, begin: str) -> str:
        """The first line of its log that begins so, once it is there.

        Raises:
            BusDiedError: it ended instead; with the end of its log.
        """
        while True:
            self.check()
            for line in self._process.text().splitlines():
                if line.startswith(begin):
                    return line
            await asyncio.sleep(0.05)

    def check(self) -> None:
        """See that it lives.

        Raises:
            BusDiedError: it does not.
        """
        if not self._process.is_running:
            last = self._process.text().strip().splitlines()[-4:]
            raise BusDiedError("\n".join(last), where=str(self._process.log))

    def __enter__(self) -> Self:
        """It runs."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it in order, or by force where that takes too long."""
        self._process.end_or_kill()


class BusUp(BusChild):
    """`bus up`.

    Args:
        folder: for the broker's data and the process's log.
        arguments: more arguments of `bus up`.
        environment: added to ours.
    """

    def __init__(self, folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        data = ["up", "--data-dir", str(folder), "--port", "0", "--registry-port", "0", "--no-console", "--json"]
        lanes = {"BUS_LANES": os.environ.get("BUS_LANES", DEMO_LANES)}
        super().__init__("bus-up", folder, [*data, *arguments], lanes | dict(environment or {}))

    async def ready(self) -> Settings:
        """The addresses and the superuser's login, once everything answers.

        Raises:
            BusDiedError: it ended instead; with the end of its log.
        """
        told = json.loads(await self.told('{"bootstrap"'))
        login = found_login({}, SUPERUSER, told["bootstrap"], self._folder)
        addresses = {"bootstrap": told["bootstrap"], "registry_url": told["registry"]}
        return Settings.load(login, data_dir=self._folder, **addresses)


class BusConsole(BusChild):
    """`bus console` on a free port of loopback.

    Args:
        folder: for its log.
        settings: of the bus that it shows.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        super().__init__("bus-console", folder, ["console", "--port", "0"], settings.environment())

    async def url(self) -> str:
        """Where a browser finds it.

        Raises:
            BusDiedError: it ended instead; with the end of its log.
        """
        return (await self.told(CONSOLE_TOLD)).removeprefix(CONSOLE_TOLD).strip()
