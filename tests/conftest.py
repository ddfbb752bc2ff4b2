"""What holds for all tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

if TYPE_CHECKING:
    from xdist.remote import Producer

# A case takes its time where other tests, or other work, have the processor; pytest's own deadline stays.
settings.register_profile("bus", deadline=None)
settings.load_profile("bus")

ONE_BY_ONE: Final = ("tests/faults/", "tests/acceptance/test_bench.py")
"""What loads the machine, and measures how long that takes: never beside each other."""


class Scheduling(LoadFileScheduling):
    """Which tests run side by side: a file's stay together, and so do all that are to run one by one."""

    def _split_scope(self, nodeid: str) -> str:
        return ONE_BY_ONE[0] if nodeid.startswith(ONE_BY_ONE) else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return Scheduling(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell how long data stood still after each fault; here, as the process that tells it loads no other conftest."""
    ended = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    kept = [taken for report in ended for kind, taken in report.user_properties if kind == "recovery"]
    if kept:
        terminalreporter.section("data flowed again after")
        for name, seconds in kept:
            terminalreporter.write_line(f"{seconds:6.2f} s  {name}")
