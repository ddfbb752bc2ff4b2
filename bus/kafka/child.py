"""The guardian process between the owner and the JVM: no orphan, whatever way the owner ends.

Run by its path with the standard library alone (`python -I -S child.py java …`), so that it starts in milliseconds.
Its standard input is a pipe from the owner: end of file, also after `kill -9` of the owner, ends the JVM in order
(SIGTERM, then SIGKILL). On Linux the JVM dies with the guardian too (prctl PR_SET_PDEATHSIG); that signal is tied to
the *thread* that started the process, and the guardian has only one: why it is a process and not a thread of the owner.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys

PR_SET_PDEATHSIG = 1
GRACE_SECONDS = 20.0
POLL_SECONDS = 0.1


def die_with_parent() -> None:
    """In the child, between fork and exec: SIGKILL when the guardian dies. Linux only; elsewhere nothing happens."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def owner_ended(owner: int) -> bool:
    """Wait up to POLL_SECONDS; True once the owner's pipe is at its end, or the owner is no longer our parent.

    The second covers a pipe whose other end was inherited by a forked child of the owner.
    """
    readable, _, _ = select.select([0], [], [], POLL_SECONDS)
    return (bool(readable) and not os.read(0, 1)) or os.getppid() != owner


def end(jvm: subprocess.Popen[bytes]) -> None:
    """Ask the JVM to stop, and make it stop after GRACE_SECONDS."""
    jvm.terminate()
    try:
        jvm.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        jvm.kill()
        jvm.wait()


def stop(_signal: int, _frame: object) -> None:
    """A signal to the guardian itself: leave the loop, which ends the JVM."""
    sys.exit(143)


def main(command: list[str]) -> int:
    """Run the command until it ends or the owner does.

    Its process id is the only line on standard output; what it prints goes to our standard error.

    Returns:
        its exit code, as shells tell it: 128 and the number for a signal.
    """
    owner = os.getppid()
    signal.signal(signal.SIGTERM, stop)
    jvm = subprocess.Popen(  # noqa: S603  (the owner's own command)
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        preexec_fn=die_with_parent,  # noqa: PLW1509  (one thread only: safe)
    )
    sys.stdout.write(f"{jvm.pid}\n")
    sys.stdout.flush()
    try:
        while jvm.poll() is None and not owner_ended(owner):
            pass
    finally:
        end(jvm)
    return jvm.returncode if jvm.returncode >= 0 else 128 - jvm.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
