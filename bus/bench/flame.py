"""Where the CPU time of a process goes, as a flame graph: py-spy looks at it from outside, compiled code included."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bus.errors import BusError

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLES_A_SECOND: Final = 200
READY: Final = "Sampling process"
READY_SECONDS: Final = 20.0
WRITE_SECONDS: Final = 120.0


class ProfilerMissingError(BusError):
    """The profiler py-spy is not installed."""


class ProfilerError(BusError):
    """The profiler did not do its work."""


def profiler() -> str:
    """The path of py-spy.

    Raises:
        ProfilerMissingError: it is not there.
    """
    beside = Path(sys.executable).parent
    found = shutil.which("py-spy") or shutil.which("py-spy", path=str(beside))
    if found is None:
        raise ProfilerMissingError("--profile needs it", fix="pip install 'shuniu[profile]', or measure without it")
    return found


@contextmanager
def recorded(pid: int, target: Path) -> Iterator[None]:
    """Draw what a process does in the meantime, as SVG.

    Raises:
        ProfilerMissingError: py-spy is not there.
        ProfilerError: it may not look at the process, or has drawn nothing.
    """
    log = target.with_name(f"{target.name}.log")
    command = [profiler(), "record", "--native", "--rate", str(SAMPLES_A_SECOND), "--output", str(target)]
    with log.open("wb") as opened:
        spy = subprocess.Popen([*command, "--pid", str(pid)], stdout=opened, stderr=opened)  # noqa: S603  its own path
    try:
        _wait_until_ready(spy, log)
        yield
        spy.send_signal(signal.SIGINT)
        if spy.wait(WRITE_SECONDS) or not target.exists():
            raise _failed(log)
    finally:
        spy.kill()
        spy.wait()
        log.unlink(missing_ok=True)


def _wait_until_ready(spy: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while READY not in log.read_text(errors="replace"):
        if spy.poll() is not None or time.monotonic() > deadline:
            raise _failed(log)
        time.sleep(0.05)


def _failed(log: Path) -> ProfilerError:
    told = log.read_text(errors="replace").strip().splitlines()
    return ProfilerError(
        told[-1] if told else "it said nothing",
        fix="let it look at processes of yours: sysctl kernel.yama.ptrace_scope=0, in a container --cap-add SYS_PTRACE",
    )
