"""Real processes of the bus, as an operator starts them: `bus worker`, `bus adapter run`; for tests of faults.

Each stands under a guardian, so that none outlives the tests, whatever way those end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Final, Self

from bus.config import ENVIRONMENT
from bus.kafka import child

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from bus.config import Settings

END_SECONDS: Final = 30.0


class BusProcess:
    """One `bus …` process.

    Args:
        arguments: of the command.
        environment: of the process.
        log: file that its standard output and error are added to.
    """

    def __init__(self, arguments: tuple[str, ...], environment: Mapping[str, str], log: Path) -> None:
        self.arguments = arguments
        self.log = log
        with log.open("ab") as output:
            self._guardian = subprocess.Popen(  # noqa: S603  our own command
                [sys.executable, "-I", "-S", child.__file__, sys.executable, "-m", "bus", *arguments],
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
        """What it has written so far."""
        return self.log.read_text("utf-8", "replace")

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
        """SIGTERM; its exit code (143 or -15 when the signal itself ended it)."""
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
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


class BusProcesses:
    """Starts processes of the bus, and ends all of them at the end.

    Args:
        folder: for their logs.
    """

    def __init__(self, folder: Path) -> None:
        self.started: list[BusProcess] = []
        self._folder = folder

    def start(self, settings: Settings, *arguments: str) -> BusProcess:
        """Start `bus ARGUMENTS…` on the cluster and the registry of the settings."""
        environment = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT.values()}
        environment |= settings.environment()
        log = self._folder / f"{len(self.started):02d}-{'-'.join(arguments[:2])}.log"
        process = BusProcess(arguments, environment, log)
        self.started.append(process)
        return process

    def __enter__(self) -> Self:
        """Nothing runs yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what still runs."""
        for process in self.started:
            if process.is_running:
                process.thaw()
                process.kill()
