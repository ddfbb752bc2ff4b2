"""A worker under load does not grow: what it took for its first minutes is what it takes for good."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from tests.rejects_office import reject_office

MINUTES = float(os.environ.get("GROWTH_MINUTES", "30"))
MARGIN_BYTES = 8 * 2**20
"""What allocators and caches may still come to after the warm-up."""

MOST_BYTES = 200 * 2**20
PEOPLE, AT_ONCE = 400, 1_000
CHANGES = ["1", "2", "1", "2", "no code", "2", "1", None]
"""Sexes: the fifth is rejected; None is a deletion."""


@pytest.mark.long
@pytest.mark.timeout(int(MINUTES * 60) + 300)
async def test_a_worker_does_not_grow(tmp_path: Path) -> None:
    """Changes, rejects and deletions of the same people through both stages, about a thousand a second."""
    sizes: list[int] = []
    async with reject_office(tmp_path) as office:
        worker = office.worker()
        begun = time.monotonic()
        while time.monotonic() < begun + MINUTES * 60:
            turn = time.monotonic()
            first = len(sizes)  # so that another one is rejected, or deleted, the next time
            await office.publish_all(
                [
                    (serial % PEOPLE, CHANGES[(serial + first) % len(CHANGES)], f"王{first}", "u")
                    for serial in range(AT_ONCE)
                ]
            )
            sizes.append(_resident(worker.pid))
            await asyncio.sleep(max(0.0, turn + 1 - time.monotonic()))
        assert worker.is_running

    assert len(sizes) >= 8, "too few to tell"
    quarter = len(sizes) // 4
    warm, last = max(sizes[quarter : 2 * quarter]), max(sizes[-quarter:])
    told = f"{warm / 2**20:.1f} MB after warm-up, {last / 2**20:.1f} MB in the end, of {len(sizes)} looks"
    print(told)  # noqa: T201  a long run's result
    assert last <= warm + MARGIN_BYTES, told
    assert max(sizes) < MOST_BYTES, told


def _resident(pid: int) -> int:
    """Bytes of memory that a process has."""
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
