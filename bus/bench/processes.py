"""Processes under measurement: their CPU time and memory, as the operating system counts them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from bus.children import BusProcess
from bus.errors import BusError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from bus.config import Settings

TICKS: Final = os.sysconf("SC_CLK_TCK")

FAILED: Final = "lane FAILED"
"""Stands in the log of a worker."""


class MeasuredProcessError(BusError):
    """A process under measurement did not go on with its work."""


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, seconds.

    Raises:
        MeasuredProcessError: it has ended.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        raise MeasuredProcessError(f"process {pid} is gone") from None
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_megabytes(pid: int) -> float:
    """The largest resident size of a process so far, MB (10^6 bytes)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


class Measured:
    """A child process of the bench; it ends with us, whatever way we end.

    Args:
        arguments: of `python -m`.
        settings: the cluster and the registry, handed on by environment.
        log: where its standard error goes.
        variables: more of its environment.
    """

    def __init__(
        self, arguments: list[str], settings: Settings, log: Path, variables: Mapping[str, str] | None = None
    ) -> None:
        environment = os.environ | settings.environment() | dict(variables or {})
        module, *arguments = arguments
        self._log = log
        self._begin = log.stat().st_size if log.exists() else 0
        self._process = BusProcess(arguments, environment, log, module)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def said(self, text: str) -> bool:
        """Whether its log holds a text.

        Raises:
            MeasuredProcessError: it has ended, or a lane of it failed: that is opened anew, and what is measured is no
                data path.
        """
        told = self._log.read_bytes()[self._begin :].decode(errors="replace")
        if failed := [line for line in told.splitlines() if FAILED in line]:
            raise MeasuredProcessError(failed[0], where=str(self._log))
        if not self._process.is_running:
            raise MeasuredProcessError("\n".join(told.splitlines()[-4:]), where=str(self._log))
        return text in told

    def lives(self) -> bool:
        """True.

        Raises:
            MeasuredProcessError: see `said`.
        """
        return self.said("")

    def __enter__(self) -> Self:
        """It runs."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it in order."""
        self._process.end_or_kill()
