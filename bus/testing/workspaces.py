"""Workspaces for tests."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Final

from bus.catalogue.workspace import Workspace, default_workspace

OTHERS: Final = ("scjg", "market", "minzheng", "geography", "gusu", "statistics", "enterprises.yaml")


def population_workspace(target: Path) -> Path:
    """The default workspace's first part, into a new folder: the population register, the person, the portal's view."""
    shutil.copytree(default_workspace(), target, ignore=shutil.ignore_patterns(*OTHERS))
    return target


def population_resources() -> Workspace:
    """That workspace, loaded."""
    with tempfile.TemporaryDirectory(prefix="shuniu-workspace-") as folder:
        return Workspace.load(population_workspace(Path(folder) / "city"))
