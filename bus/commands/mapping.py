"""`bus mapping`: work on mappings."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from bus.commands.hinting import HintingGroup


@click.group(cls=HintingGroup)
def command() -> None:
    """Work on mappings: from a dataset's rows to an entity's records."""


@command.command()
@click.argument("workspace", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def test(workspace: Path | None, as_json: bool) -> None:
    """Run the golden examples of all mappings of WORKSPACE (the default one if left out).

    Ends with 0 if all came out as expected, 1 if not.
    """
    from bus.catalogue.actions import plural
    from bus.catalogue.golden import run_golden
    from bus.catalogue.workspace import Workspace, default_workspace

    runs = run_golden(Workspace.load(workspace or default_workspace()))
    if as_json:
        results = [
            {
                "mapping": run.mapping,
                "examples": run.examples,
                "findings": [{"where": f.where, "message": f.message} for f in run.findings],
            }
            for run in runs
        ]
        click.echo(json.dumps(results, ensure_ascii=False, indent=2))
    else:
        for run in runs:
            for finding in run.findings:
                click.echo(str(finding))
            click.echo(f"mapping {run.mapping}: {plural(run.examples, 'example')}, {len(run.findings)} differ")
    sys.exit(1 if any(run.findings for run in runs) else 0)
