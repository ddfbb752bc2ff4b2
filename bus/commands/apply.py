"""`bus apply`: make Kafka, registry and catalogue what a workspace says."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import click

from bus.commands.options import settings


@click.command()
@click.argument("workspace", required=False, type=click.Path(path_type=Path))
@click.option("--bootstrap", metavar="HOST:PORT", help="The Kafka cluster [KAFKA_BOOTSTRAP].")
@click.option("--registry", metavar="URL", help="The schema registry [BUS_REGISTRY_URL].")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def command(workspace: Path | None, bootstrap: str | None, registry: str | None, as_json: bool) -> None:
    """Make topics, schemas and the catalogue what WORKSPACE says. Applied again, it changes nothing.

    Ends with 0 if that is so now, 1 if the plan is refused or something did not answer; then apply again.
    """
    from bus.catalogue.apply import apply_workspace
    from bus.catalogue.plan_text import plan_lines, totals

    chosen = settings(bootstrap, registry)
    made = asyncio.run(apply_workspace(workspace, chosen))
    if as_json:
        click.echo(json.dumps(made.json(), ensure_ascii=False, indent=2))
        return
    for line in plan_lines(made):
        click.echo(line)
    click.echo(f"Applied: {totals(made)}" if made.actions else totals(made))
