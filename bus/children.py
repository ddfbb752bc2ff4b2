"""Processes of the bus as children of another one of ours; none outlives it, whatever way that one ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

import structlog

from bus.config import ENVIRONMENT
from bus.errors import BusError
from bus.kafka import child

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bus.config import Settings

_log = structlog.get_logger()

END_SECONDS: Final = 30.0

LOOK_SECONDS: Final = 0.2
"""How often it is looked whether a child still lives."""

AGAIN_SECONDS: Final = 1.0
"""Shortest time between two starts of a child that was killed."""


class ChildEndedError(BusError):
    """A process that should run until it is told to end has failed."""


class BusProcess:
    """One `bus …` process, under a guardian.

    Args:
        arguments: of the command.
        environment: of the process.
        log: file that its standard output and error are added to; None: they go to our standard error.
        module: what Python runs.
    """

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], log: Path | None = None, module: str = "bus"
    ) -> None:
        self.arguments = arguments
        self.log = log
        with log.open("ab") if log else contextlib.nullcontext() as output:
            self._guardian = subprocess.Popen(  # noqa: S603  our own command
                [sys.executable, "-I", "-S", child.__file__, sys.executable, "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env=dict(environment),
                start_new_session=True,
            )
        assert self._guardian.stdout is not None
        self.pid = int(self._guardian.stdout.readline())

    @property
    def is_running(self) -> bool:
        """True while it lives, also while it is stopped by a signal."""
        return self._guardian.poll() is None

    def text(self) -> str:
        """What it has written to its log so far."""
        return "" if self.log is None else self.log.read_text("utf-8", "replace")

    def kill(self) -> None:
        """SIGKILL: it gets no chance to do anything."""
        self._signal(signal.SIGKILL)
        self.wait()

    def freeze(self) -> None:
        """SIGSTOP: it stands still and keeps its connections, as on a machine that is out of memory."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT: it goes on and knows nothing of the time between."""
        self._signal(signal.SIGCONT)

    def end(self) -> int:
        """SIGTERM; its exit code (143 when the signal itself ended it)."""
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        return self.wait()

    def end_or_kill(self) -> int:
        """End it in order, or by force where that takes too long; its exit code."""
        try:
            return self.end()
        except subprocess.TimeoutExpired:
            self.kill()
            return self.wait()

    def wait(self, within: float = END_SECONDS) -> int:
        """Its exit code, once it has ended.

        Raises:
            subprocess.TimeoutExpired: it did not end in time.
        """
        code = self._guardian.wait(within)
        for pipe in (self._guardian.stdin, self._guardian.stdout):
            if pipe is not None:
                pipe.close()
        return code

    def _signal(self, number: signal.Signals) -> None:
        if self.is_running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def environment_of(settings: Settings) -> dict[str, str]:
    """Our environment, but with these settings."""
    inherited = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT.values()}
    return inherited | settings.environment()


async def keep_running(settings: Settings, *arguments: str) -> None:
    """Run `bus ARGUMENTS…` as a child until cancelled; one that somebody stops or kills is started again.

    Args:
        settings: that it is given.
        arguments: of the command.

    Raises:
        ChildEndedError: it failed; it has said why on standard error.
    """
    environment = environment_of(settings)
    while True:
        started = time.monotonic()
        process = await asyncio.to_thread(BusProcess, arguments, environment)
        try:
            while process.is_running:  # noqa: ASYNC110  another process sets no event of ours
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            code = await asyncio.shield(asyncio.to_thread(process.end_or_kill))
        if has_failed(code):
            raise ChildEndedError(f"it ended with exit code {code}", where=f"bus {' '.join(arguments)}")
        _log.warning("a process is started again", process=f"bus {' '.join(arguments)}", **how_it_ended(code))
        await asyncio.sleep(max(0.0, started + AGAIN_SECONDS - time.monotonic()))


def how_it_ended(code: int) -> dict[str, str | int]:
    """An exit code for a log: the name of the signal where one ended the process."""
    with contextlib.suppress(ValueError):
        return {"signal": signal.Signals(code - 128).name}
    return {"exit_code": code}


def has_failed(code: int) -> bool:
    """Whether an exit code tells a failure, and not that somebody ended the process in order or by a signal."""
    return 0 < code <= 128
