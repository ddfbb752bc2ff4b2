"""The main job on dirty people, through faults: no log of any role names anybody, and every line is JSON."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from bus.kafka.probe import free_port

if TYPE_CHECKING:
    import pytest

    from bus.testing.city import City

PERSONAL = ("sfzh", "xm", "hjdz", "jzdz", "lxdh", "bz")
"""Columns of the register that tell who somebody is, or where to find them."""

SHORTEST = 1
"""A value of one character is in any text."""


async def test_no_role_logs_anything_of_anybody(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUS_LOG", "json")
    registry = city.processes.start(city.settings, "registry", "--port", str(free_port()))
    worker, adapter = city.worker(), city.adapter()
    await city.settled()
    async with city.load(150):
        await city.flows_again()
        await asyncio.to_thread(city.postgres.restart)
        await city.flows_again()
        worker.kill()
        worker = city.worker()
        await city.flows_again()
        await asyncio.to_thread(city.kafka.restart)
        await city.flows_again()
    values = {
        str(person[column])
        for _, _, _, person in await city.register.journal()
        if person is not None
        for column in PERSONAL
        if person[column] is not None and len(str(person[column]).strip()) > SHORTEST
    }
    assert len(values) > 1_000
    for process in (registry, worker, adapter):
        process.end()

    lines = [
        line
        for process in city.processes.started
        for line in process.text().splitlines()
        if not line.startswith("schema registry serves")  # on standard output, for who started it
    ]
    events = [json.loads(line)["event"] for line in lines]
    assert "adapter starts again" in events, "PostgreSQL was gone, and that was told"
    assert "lanes owned" in events
    text = "\n".join(lines)
    named = [value for value in values if value in text]
    assert not named, f"{len(named)} of {len(values)} values stand in the logs"
