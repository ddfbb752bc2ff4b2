"""The READMEs are true: they show what `bus init` writes, and know the variables that a process reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bus.catalogue.workspace import starter_workspace
from bus.config import CODEC, ENVIRONMENT

ROOT = Path(__file__).parents[2]
READMES = pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])


@READMES
def test_the_workspace_that_they_show_is_what_bus_init_writes(readme: str) -> None:
    text = (ROOT / readme).read_text("utf-8")
    [shown] = [block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "kind: Mapping" in block]
    written = (starter_workspace() / "companies" / "companies.yaml").read_text("utf-8").splitlines()
    assert [line for line in shown.splitlines() if line not in written] == []


@READMES
def test_every_variable_of_a_process_is_in_the_table(readme: str) -> None:
    text = (ROOT / readme).read_text("utf-8")
    rows = "".join(line.split("|")[1] for line in text.splitlines() if line.startswith("| `"))
    assert [name for name in (*ENVIRONMENT.values(), CODEC) if f"`{name}`" not in rows] == []
