"""Children of a process of the bus: how they end is told as shells tell it."""

from __future__ import annotations

import os
import signal

import pytest

from bus.children import BusProcess, has_failed, how_it_ended


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_that_a_signal_has_ended_is_told_by_its_name(number: signal.Signals) -> None:
    child = BusProcess(["0", "--bind", "127.0.0.1"], os.environ, module="http.server")
    os.kill(child.pid, number)

    code = child.wait()

    assert code == 128 + number
    assert not has_failed(code)
    assert how_it_ended(code) == {"signal": number.name}


def test_a_child_that_ends_by_itself_is_told_by_its_exit_code() -> None:
    assert BusProcess(["--version"], os.environ).wait() == 0
    assert how_it_ended(0) == {"exit_code": 0}
    assert how_it_ended(2) == {"exit_code": 2}
