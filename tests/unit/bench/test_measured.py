"""A process that is measured is one that works."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from bus.bench.processes import Measured, MeasuredProcessError
from bus.config import Settings

if TYPE_CHECKING:
    from pathlib import Path


def saying(text: str, log: Path, *, seconds: int = 60) -> Measured:
    """A process that says something, then runs on for a while."""
    said = f"import sys; sys.stderr.write({text!r}); sys.stderr.flush()"
    return Measured(["timeit", "-n1", "-r1", "-s", said, f"import time; time.sleep({seconds})"], Settings(), log)


def until_said(process: Measured, text: str) -> None:
    deadline = time.monotonic() + 20
    while not process.said(text):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_one_that_works_lives(tmp_path: Path) -> None:
    with saying("data path: compiled\n", tmp_path / "log") as process:
        until_said(process, "compiled")
        assert process.lives()


def test_a_lane_that_fails_ends_the_measuring(tmp_path: Path) -> None:
    told = '{"lane": 3, "event": "lane FAILED"}\n'
    with saying(told, tmp_path / "log") as process, pytest.raises(MeasuredProcessError, match=r'"lane": 3'):
        until_said(process, "never")


def test_one_that_has_ended_is_told_with_its_last_words(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with saying("goodbye\n", log, seconds=0) as process, pytest.raises(MeasuredProcessError, match="goodbye"):
        until_said(process, "never")
