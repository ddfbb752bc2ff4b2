"""`bus` as its users run it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Start = Callable[..., subprocess.Popen[str]]

BUS = [sys.executable, "-m", "bus"]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts `bus …` in an empty folder; nothing of our environment but the variables that are given."""

    def started(*arguments: object, **variables: str) -> subprocess.Popen[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("BUS_", "KAFKA_", "PYTHON"))}
        return subprocess.Popen(
            [*BUS, *map(str, arguments)],
            cwd=tmp_path,
            env=kept | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    return started
