"""`bus up`: every role in one small process tree."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from bus.demo.child import BusChild, BusDiedError
from bus.testing.waiting import until


def jvm_of(folder: Path) -> int:
    """The process of the broker whose data are in the folder."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if words[0].endswith(b"/java") and bytes(folder / "kafka" / "server.properties") in words:
                return int(entry.name)
    raise LookupError(folder)


FREE_PORTS = ("--port", "0", "--registry-port", "0", "--console-port", "0")


async def test_it_tells_where_its_console_is_and_that_shows_the_flow(tmp_path: Path) -> None:
    with BusChild("bus-up", tmp_path, ["up", "--data-dir", str(tmp_path), *FREE_PORTS, "--json"], {}) as up:
        url = json.loads(await up.told('{"bootstrap"'))["console"]

        def shown() -> set[str]:
            try:
                with urlopen(f"{url}/api/health") as answer:
                    return {dataset["name"] for dataset in json.load(answer)["datasets"]}
            except HTTPError as busy:  # 503 until the first look is done
                busy.close()
                return set()

        await until(lambda: asyncio.to_thread(lambda: "gongan.population" in shown()), within=20, what="the flow")


async def test_when_its_broker_dies_it_ends_and_says_so(tmp_path: Path) -> None:
    with BusChild("bus-up", tmp_path, ["up", "--data-dir", str(tmp_path), *FREE_PORTS, "--json"], {}) as up:
        await up.told('{"bootstrap"')
        os.kill(jvm_of(tmp_path), signal.SIGKILL)

        with pytest.raises(BusDiedError, match="its JVM ended"):
            await until(up.check, within=20)


def workers_of(up: int) -> list[int]:
    """The process ids of the workers that descend from a process."""
    parents, workers = {up}, []
    for entry in sorted(Path("/proc").glob("[0-9]*"), key=lambda entry: int(entry.name)):
        with contextlib.suppress(OSError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if parent in parents:
                parents.add(int(entry.name))
                workers += [int(entry.name)] if words[1:4] == [b"-m", b"bus", b"worker"] else []
    return workers


def is_there(process: int) -> bool:
    return Path(f"/proc/{process}").exists()


async def test_its_workers_are_processes_that_are_started_again_and_end_with_it(tmp_path: Path) -> None:
    options = ["up", "--data-dir", str(tmp_path), *FREE_PORTS, "--no-console", "--workers", "2", "--json"]
    with BusChild("bus-up", tmp_path, options, {}) as up:
        await up.told('{"bootstrap"')
        await until(lambda: len(workers_of(up.pid)) == 2, within=20, what="two workers")
        first, second = workers_of(up.pid)

        os.kill(first, signal.SIGKILL)

        await until(lambda: len(set(workers_of(up.pid)) - {first, second}) == 1, within=20, what="another one")
        assert second in workers_of(up.pid), "the other one went on"
        before = workers_of(up.pid)
        up.check()
    assert not [worker for worker in before if is_there(worker)]


async def test_nobody_else_on_the_machine_can_read_the_topics_files(tmp_path: Path) -> None:
    with BusChild("bus-up", tmp_path, ["up", "--data-dir", str(tmp_path), *FREE_PORTS, "--json"], {}) as up:
        await up.told('{"bootstrap"')

        assert (tmp_path / "kafka").stat().st_mode & 0o077 == 0
