"""`bus plan`: show what `bus apply` would change."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import click

from bus.commands.options import settings


@click.command()
@click.argument("workspace", required=False, type=click.Path(path_type=Path))
@click.option("--bootstrap", metavar="HOST:PORT", help="The Kafka cluster [KAFKA_BOOTSTRAP].")
@click.option("--registry", metavar="URL", help="The schema registry [BUS_REGISTRY_URL].")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def command(workspace: Path | None, bootstrap: str | None, registry: str | None, as_json: bool) -> None:
    """Show what would change on Kafka, registry and catalogue so that they are what WORKSPACE says. Changes nothing.

    Ends with 0 if the plan can be applied, 1 if it is refused.
    """
    from bus.catalogue.apply import read_state
    from bus.catalogue.golden import with_golden_warnings
    from bus.catalogue.plan import Limits, plan
    from bus.catalogue.plan_text import plan_lines, totals
    from bus.catalogue.workspace import Workspace, default_workspace

    chosen = settings(bootstrap, registry)
    wanted = with_golden_warnings(Workspace.load(workspace or default_workspace()))
    made = plan(wanted, asyncio.run(read_state(chosen, wanted)), Limits.of(chosen))
    if as_json:
        click.echo(json.dumps(made.json(), ensure_ascii=False, indent=2))
    else:
        click.echo(f"Plan for workspace {made.workspace} on {chosen.kafka.bootstrap}")
        for line in plan_lines(made):
            click.echo(line)
        click.echo("Refused: nothing will be changed." if made.refusals else totals(made))
    sys.exit(1 if made.refusals else 0)
