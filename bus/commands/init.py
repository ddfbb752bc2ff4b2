"""`bus init`: a small workspace to start from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import click


@click.command(name="init")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--name", help="The workspace's name, under which it manages its resources.  [default: the folder's]")
def command(folder: Path, name: str | None) -> None:
    """Make a small workspace in FOLDER that validates: one department's table, to one entity, to one subscriber."""
    from bus.catalogue import workspace
    from bus.errors import WrongUseError

    if folder.exists() and any(folder.iterdir()):
        raise WrongUseError("there is something in that folder", where=str(folder), fix="name a new or an empty one")
    chosen = name or folder.resolve().name
    shutil.copytree(workspace.starter_workspace(), folder, dirs_exist_ok=True)
    file = folder / workspace.FILE
    text = file.read_text("utf-8").replace("name: starter", f"name: {json.dumps(chosen, ensure_ascii=False)}")
    file.write_text(text, "utf-8")
    click.echo(f"made workspace {chosen} in {folder}; now: bus validate {folder}, bus mapping test {folder}")
