"""A city of one's own for every fault, and the recovery times told at the end of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from bus.testing.city import City

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator
    from pathlib import Path

CITY = pytest.StashKey[City]()

LAST_LINES = 40


class Measured(Protocol):
    def __call__(self, seconds: float, what: str = "") -> None: ...


@pytest.fixture
async def city(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[City]:
    """Everything but worker and adapter, which each test starts; its parameter: people at the start."""
    async with City(tmp_path, rows=getattr(request, "param", 300)) as running:
        request.node.stash[CITY] = running
        yield running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the processes of a test that failed have said: such failures are rare, and do not come again."""
    report = yield
    if report.when == "call" and report.failed and CITY in item.stash:
        for process in item.stash[CITY].processes.started:
            last = process.text().splitlines()[-LAST_LINES:]
            report.sections.append((f"the last lines of bus {' '.join(process.arguments[:2])}", "\n".join(last)))
    return report


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Measured:
    """Takes down how long data stood still; `tests/conftest.py` tells it at the end of the run."""

    def take(seconds: float, what: str = "") -> None:
        request.node.user_properties.append(("recovery", (f"{request.node.name} {what}".rstrip(), seconds)))

    return take
