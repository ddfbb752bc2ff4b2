"""`bus up` as a child process, as a user would run it; it ends with us, also when we are killed."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final, Self

from bus.config import Settings
from bus.credentials import SUPERUSER, found_login
from bus.errors import BusError
from bus.kafka import child

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType


DEMO_LANES: Final = "2"
"""A cluster's default is 16, for many workers; on one small machine each lane is a transaction more."""


class BusDiedError(BusError):
    """`bus up` ended by itself."""


class BusUp:
    """The process.

    Args:
        folder: for the broker's data and the process's log.
        arguments: more arguments of `bus up`.
        environment: added to ours.
    """

    def __init__(self, folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self.log = folder / "bus-up.log"
        self._folder = folder
        data = ["--data-dir", str(folder), "--port", "0", "--registry-port", "0", "--json"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  our own command
                [sys.executable, "-I", "-S", child.__file__, sys.executable, "-m", "bus", "up", *data, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env={"BUS_LANES": DEMO_LANES} | os.environ | dict(environment or {}),
                start_new_session=True,  # Ctrl-C is for the demo, which then stops this in order
            )

    async def ready(self) -> Settings:
        """The addresses and the superuser's login, once everything answers.

        Raises:
            BusDiedError: it ended instead; with the end of its log.
        """
        while True:
            self.check()
            for line in self.log.read_text(errors="replace").splitlines():
                if line.startswith('{"bootstrap"'):
                    told = json.loads(line)
                    login = found_login({}, SUPERUSER, told["bootstrap"], self._folder)
                    addresses = {"bootstrap": told["bootstrap"], "registry_url": told["registry"]}
                    return Settings.load(login, data_dir=self._folder, **addresses)
            await asyncio.sleep(0.05)

    def check(self) -> None:
        """See that it lives.

        Raises:
            BusDiedError: it does not.
        """
        if self._process.poll() is not None:
            last = self.log.read_text(errors="replace").strip().splitlines()[-4:]
            raise BusDiedError("\n".join(last), where=str(self.log))

    def stop(self) -> None:
        """End it in order."""
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def __enter__(self) -> Self:
        """It runs."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self.stop()
