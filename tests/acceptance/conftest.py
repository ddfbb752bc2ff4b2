"""`bus` as its users run it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Start = Callable[..., subprocess.Popen[str]]

BUS = [sys.executable, "-m", "bus"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `bus …` in an empty folder; nothing of our environment but the variables that are given."""
    processes: list[subprocess.Popen[str]] = []

    def started(*arguments: object, **variables: str) -> subprocess.Popen[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("BUS_", "KAFKA_", "PYTHON"))}
        process = subprocess.Popen(
            [*BUS, *map(str, arguments)],
            cwd=tmp_path,
            env=kept | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        processes.append(process)
        return process

    yield started
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.communicate()
