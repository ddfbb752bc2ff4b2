"""`bus validate`: check a workspace, with file and line of every finding."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bus.catalogue.by_reference import ByReference
    from bus.catalogue.workspace import Workspace


@click.command()
@click.argument("workspace", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print findings as JSON.")
@click.option("--schema", "kind", metavar="KIND", help="Print the JSON Schema of a kind, for editors, and end.")
def command(workspace: Path | None, as_json: bool, kind: str | None) -> None:
    """Check all YAML files of WORKSPACE (the default one if left out).

    Ends with 0 if it has no errors, 1 if it has, 2 if it is no workspace.
    """
    if kind is not None:
        click.echo(json.dumps(_schema_of(kind), ensure_ascii=False, indent=2))
        return
    from bus.catalogue.by_reference import views_by_reference
    from bus.catalogue.golden import golden_file_faults
    from bus.catalogue.workspace import Workspace, default_workspace

    found = Workspace.read(workspace or default_workspace())
    if not found.errors:
        found = replace(found, findings=(*found.findings, *golden_file_faults(found)))
    notes = [] if found.errors else list(views_by_reference(found))
    if as_json:
        click.echo(json.dumps(_as_json(found, notes), ensure_ascii=False, indent=2))
    else:
        _print(found, notes)
    sys.exit(1 if found.errors else 0)


def _schema_of(kind: str) -> object:
    from bus.catalogue.kinds import KINDS
    from bus.errors import WrongUseError

    if kind not in KINDS:
        raise WrongUseError(f"there is no kind {kind!r}", fix=f"one of {', '.join(KINDS)}")
    return KINDS[kind].model_json_schema()


def _as_json(found: Workspace, notes: list[ByReference]) -> dict[str, object]:
    return {
        "workspace": found.name,
        "folder": str(found.folder),
        "resources": _counts(found),
        "findings": [
            {"severity": f.severity, "where": f.where, "message": f.message, "fix": f.fix} for f in found.findings
        ],
        "by_reference": [note.json() for note in notes],
    }


def _counts(found: Workspace) -> dict[str, int]:
    return {kind: len(resources) for kind, resources in found.resources.items()}


def _print(found: Workspace, notes: list[ByReference]) -> None:
    from bus.catalogue.actions import plural

    for told in (*found.findings, *notes):
        click.echo(str(told))
    counts = ", ".join(f"{count} {kind}" for kind, count in _counts(found).items() if count)
    errors, warnings = len(found.errors), len(found.findings) - len(found.errors)
    total = f"{plural(errors, 'error')}, {plural(warnings, 'warning')}"
    click.echo(f"workspace {found.name}: {counts or 'no resources'}; {total}")
