from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from bus import cli
from bus.catalogue.workspace import Workspace
from bus.testing.workspaces import population_workspace

if TYPE_CHECKING:
    from pathlib import Path

COMPANIES = "companies/companies.yaml"


@dataclass
class Folder:
    """A copy of the default workspace that a test spoils."""

    path: Path

    def replace(self, file: str, old: str, new: str) -> Folder:
        text = (self.path / file).read_text("utf-8")
        assert old in text, f"{old!r} is not in {file}"
        (self.path / file).write_text(text.replace(old, new, 1), "utf-8")
        return self

    def add(self, file: str, text: str) -> Folder:
        (self.path / file).parent.mkdir(parents=True, exist_ok=True)
        (self.path / file).write_text(text, "utf-8")
        return self

    def add_field(self, schema: str, name: str, declared: list[Any]) -> Folder:
        """One more field, which may be null, in a file of an Avro schema."""
        made = json.loads((self.path / schema).read_text("utf-8"))
        made["fields"].append({"name": name, "type": declared, "default": None})
        return self.add(schema, json.dumps(made))

    def line(self, file: str, text: str) -> str:
        """file:line of the first line that holds the text, as a finding names it."""
        lines = (self.path / file).read_text("utf-8").splitlines()
        number = next(n for n, line in enumerate(lines, 1) if text in line)
        return f"{self.path / file}:{number}"

    def load(self) -> Workspace:
        return Workspace.load(self.path)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    population_workspace(tmp_path / "city")
    return Folder(tmp_path / "city")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


class Bus:
    """Runs `bus …` in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Ended:
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
        out, err = self._capsys.readouterr()
        return Ended(int(str(ended.value.code or 0)), out, err)


@pytest.fixture
def companies(tmp_path: Path, bus: Bus) -> Folder:
    """What `bus init` writes, of a dataset that does not tell its fields."""
    folder = Folder(tmp_path / "mycity")
    assert bus("init", folder.path).code == 0
    text = (folder.path / COMPANIES).read_text("utf-8")
    told = text[text.index("  fields:\n    tyshxydm: {doc") : text.index("---")]
    return folder.replace(COMPANIES, told, "")


@pytest.fixture
def bus(capsys: pytest.CaptureFixture[str]) -> Bus:
    return Bus(capsys)
