"""The demo's departments: what they have, what they do while the demo runs, and what must come of it."""

from __future__ import annotations

import asyncio
import csv
import time
from dataclasses import asdict
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from ruamel.yaml import YAML

from bus.catalogue.workspace import default_workspace
from bus.demo.enterprises import Enterprises
from bus.demo.proof import expected_state
from bus.demo.register import Register
from bus.demo.releases import LEVELS, Releases
from bus.demo.views import ENTERPRISES, PERSONS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from random import Random

    from bus.demo.proof import State
    from bus.demo.views import DemoView
    from bus.testing.postgres import PostgresServer

ENTERPRISES_AT_START: Final = 2_000
DATASETS: Final = {
    PERSONS: "公安局 people, PostgreSQL",
    ENTERPRISES: "市监局 enterprises, dumps",
    **{f"minzheng.{level}": f"民政局 {level}, dumps" for level in LEVELS},
}
"""The datasets, as the screen calls them."""


class Departments:
    """Public Security's register, Market Regulation's and Civil Affairs' dumps.

    Args:
        postgres: where the register is.
        folder: for the dumps and the adapters' configurations.
        random: seeded.
    """

    def __init__(self, postgres: PostgresServer, folder: Path, random: Random) -> None:
        self.divisions = valid_divisions()
        self.register = Register(postgres.parameters(), random)
        self.enterprises = Enterprises(folder / "dumps" / "scjg", random, ENTERPRISES_AT_START, self.divisions)
        self.releases = Releases(folder / "dumps" / "minzheng")
        self._postgres = postgres
        self._folder = folder

    async def open(self, rows: int) -> None:
        """Fill the register, drop the first dump of enterprises."""
        ddl = (default_workspace() / "gongan" / "population.sql").read_text(encoding="utf-8")
        await self.register.create(ddl, rows)
        await asyncio.to_thread(self.enterprises.drop)

    def adapters(self) -> list[str]:
        """Arguments of `bus up` for the adapters, whose configurations are written."""
        database = {"host": "127.0.0.1", "port": self._postgres.port, "database": "postgres", "user": "postgres"}
        configurations: dict[str, dict[str, Any]] = {"gongan": database}
        for name in ("scjg", "minzheng"):
            told = YAML(typ="safe").load((files("bus.demo") / "dumps" / f"{name}.yaml").read_text(encoding="utf-8"))
            configurations[name] = told | {"folder": str(self._folder / "dumps" / name)}
        arguments = []
        for name, configuration in configurations.items():
            file = self._folder / f"{name}.yaml"
            YAML(typ="safe").dump(configuration, file)
            arguments += ["--adapter", f"{name}={file}"]
        return arguments

    async def work(self, rate: float, seconds: float, stop: asyncio.Event) -> None:
        """Change the register at so many transactions a second, and drop dumps now and then, until told to stop."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.register.work(rate, stop))
            group.create_task(self._drop(seconds, stop))

    async def _drop(self, seconds: float, stop: asyncio.Event) -> None:
        begun = time.monotonic()
        steps = [
            (0.15, lambda: self._enterprises(ragged=True)),
            (0.3, self.releases.drop),
            (0.45, lambda: self.enterprises.drop(doubled=True)),
            (0.6, self._enterprises),
            (0.8, self._enterprises),
        ]
        for share, step in steps:
            try:
                async with asyncio.timeout(max(0.0, begun + share * seconds - time.monotonic())):
                    await stop.wait()
                    return
            except TimeoutError:
                await asyncio.to_thread(step)

    def _enterprises(self, *, ragged: bool = False) -> None:
        self.enterprises.work()
        self.enterprises.drop(ragged=ragged)

    async def expected(self, views: Iterable[DemoView]) -> dict[str, State]:
        """What each view's subscriber must have in the end, by view."""
        journal = await self.register.journal()
        return {view.name: self._of(view, journal) for view in views}

    def _of(self, view: DemoView, journal: list[Any]) -> State:
        if view.source == PERSONS:
            state = expected_state(journal, self.divisions, view.show)
        else:
            whole = self.enterprises.state if view.source == ENTERPRISES else self.releases.state(_level(view.source))
            shown = {key: view.show(record) for key, record in whole.items()}
            state = {key: record for key, record in shown.items() if record is not None}
        return {view.key(key): record for key, record in state.items()}

    def refused_dumps(self) -> int:
        """How many dumps lie where refused ones go."""
        failed = self._folder / "dumps" / "scjg" / "failed"
        return len(list(failed.glob("*.csv")))

    def differences(self) -> dict[str, dict[str, int]]:
        """By level, what the second release of the divisions changed; nothing before it was dropped."""
        if self.releases.dropped < 2:
            return {}
        return {level: asdict(self.releases.difference(level)) for level in LEVELS}


def _level(dataset: str) -> str:
    return dataset.partition(".")[2]


def valid_divisions() -> frozenset[str]:
    """The valid division codes, straight from the code list's file."""
    file = next((default_workspace() / "codelists").glob("divisions-*.csv"))
    with file.open(encoding="utf-8", newline="") as opened:
        return frozenset(row["code"] for row in csv.DictReader(opened))
