"""What a bench ran on: all that its figures depend on, and nothing that tells whose machine it is."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bus import __version__
from bus.kafka.jars import KAFKA_VERSION
from bus.pipeline import native


def notes() -> dict[str, Any]:
    """The machine and the versions; memory in GB (10^9 bytes), load as the system tells it before the bench."""
    return {
        "cpu": _line("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(int(_line("/proc/meminfo", "MemTotal").split()[0] or 0) * 1024 / 1e9, 1),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "shuniu": __version__,
        "commit": _commit(),
        "native": "used" if native.is_used() else "built, not used" if native.is_built() else "not built",
        "aiokafka": version("aiokafka"),
        "fastavro": version("fastavro"),
        "broker": f"embedded Apache Kafka {KAFKA_VERSION}, same machine",
        "records": "headers on, CRC of the input checked, no compression but where it is named, exactly once",
    }


def _line(file: str, begin: str) -> str:
    """What stands behind the colon of the first line that begins so; empty where there is none."""
    for line in Path(file).read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == begin:
            return value.strip()
    return ""


def _commit() -> str:
    """Of the checkout that this runs in, `+` if it was changed since; empty outside of one."""
    command = ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"]
    try:
        told = subprocess.run(  # noqa: S603  constant
            command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=False
        )
    except OSError:
        return ""
    return told.stdout.strip()
