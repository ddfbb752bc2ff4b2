"""`--profile`: without the profiler, or without the right to look at a process, it says what to do."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bus.bench.flame import ProfilerError, ProfilerMissingError, profiler, recorded

if TYPE_CHECKING:
    from pathlib import Path


def test_a_profiler_that_is_not_installed_is_told_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    with pytest.raises(ProfilerMissingError, match=r"shuniu\[profile\]"):
        profiler()


def test_a_process_that_cannot_be_looked_at_is_told_and_leaves_no_file(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()

    with pytest.raises(ProfilerError, match="ptrace"), recorded(gone.pid, tmp_path / "graph.svg"):
        pytest.fail("it was not looked at")

    assert list(tmp_path.iterdir()) == []
