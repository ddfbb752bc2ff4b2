"""Our adapter of full dumps passes the suite that every adapter must pass, however a dump is known to be whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from adapters.files import FilesAdapter
from adapters.files.config import FilesConfig
from bus.testing.conformance import AdapterConformance

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class FilesSubject:
    """Every change is a whole new dump; the first is empty but for its header."""

    dataset = "people"
    key = ("number",)

    def __init__(self, folder: Path, name: str, ready: str) -> None:
        self._folder = folder
        self._name = name
        self._ready = ready
        self._rows: dict[str, str] = {}
        self._dumps = 0
        self._inserted = 0
        self._write()

    def adapter(self) -> FilesAdapter:
        people = {"files": "people-*.csv", "key": ["number"], "columns": {"编号": "number", "姓名": "name"}}
        config = {"folder": self._folder, "ready": self._ready, "settle_seconds": 0.1, "poll_seconds": 0.05}
        return FilesAdapter(self._name, FilesConfig.model_validate(config | {"datasets": {"people": people}}))

    def _write(self) -> None:
        self._dumps += 1
        target = self._folder / f"people-{self._dumps}.csv"
        part = target.with_suffix(".part")
        text = "".join(f"{number},{name}\n" for number, name in self._rows.items())
        part.write_text(f"编号,姓名\n{text}", encoding="utf-8")
        part.rename(target)
        if self._ready == "marker":
            target.with_name(target.name + ".ok").touch()

    async def insert(self, rows: int) -> None:
        for _ in range(rows):
            self._inserted += 1
            self._rows[f"n{self._inserted:03d}"] = "王伟"
        self._write()

    async def update(self) -> None:
        self._rows[min(self._rows)] = "李娜"
        self._write()

    async def delete(self) -> None:
        del self._rows[max(self._rows)]
        self._write()


class TestFiles(AdapterConformance):
    @pytest.fixture(params=["rename", "marker", "settle"])
    def subject(self, tmp_path: Path, unique: Callable[[str], str], request: pytest.FixtureRequest) -> FilesSubject:
        return FilesSubject(tmp_path, unique("kit"), request.param)
