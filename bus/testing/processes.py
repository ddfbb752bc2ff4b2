"""Real processes of the bus, as an operator starts them: `bus worker`, `bus adapter run`; for tests of faults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from bus.children import BusProcess, environment_of

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from bus.config import Settings


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
        log = self._folder / f"{len(self.started):02d}-{'-'.join(arguments[:2])}.log"
        process = BusProcess(arguments, environment_of(settings), log)
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
