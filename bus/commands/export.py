"""`bus export`: resources of the catalogue as YAML."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING

import click

from bus.commands.options import cluster, settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bus.catalogue.model import Resource


@click.command(name="export")
@cluster
@click.option("--managed-by", default="runtime", show_default=True, metavar="NAME", help="Whose resources.")
def command(bootstrap: str | None, registry_url: str | None, managed_by: str) -> None:
    """Print resources that no workspace manages (or that the workspace NAME does) as YAML that a workspace can take in.

    Schemas and codes stand inside their resources. A state that people decided (an approval) is not exported.
    """
    from bus.pipeline.adapter_role import read_catalogue

    records = asyncio.run(read_catalogue(settings(bootstrap, registry_url))).records
    chosen = [record.resource for _, record in sorted(records.items()) if record.managed_by == managed_by]
    if not chosen:
        managers = sorted({record.managed_by for record in records.values()})
        click.echo(f"nothing is managed by {managed_by}; the catalogue's managers: {', '.join(managers)}", err=True)
        return
    click.echo(as_yaml(chosen), nl=False)


def as_yaml(resources: Iterable[Resource]) -> str:
    """The resources as YAML documents."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 120
    out = io.StringIO()
    documents = [resource.document() for resource in resources]
    for document in documents:
        if document["kind"] == "Mapping":
            document["spec"].pop("golden", None)  # a file beside its workspace, which is not in the catalogue
    yaml.dump_all(documents, out)
    return out.getvalue()
