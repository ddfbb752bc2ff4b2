"""`bus catalogue`: the resources of a cluster."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import click

from bus.commands.options import cluster, settings

if TYPE_CHECKING:
    from bus.catalogue.record import CatalogueRecord


@click.command(name="catalogue")
@cluster
@click.option("--kind", help="Only resources of this kind: Dataset, View …")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(bootstrap: str | None, registry_url: str | None, kind: str | None, as_json: bool) -> None:
    """List the resources that the cluster's catalogue holds: name, revision, who manages it, state, title."""
    from bus.catalogue.kinds import KINDS
    from bus.errors import WrongUseError
    from bus.pipeline.adapter_role import read_catalogue

    if kind is not None and kind not in KINDS:
        raise WrongUseError(f"there is no kind {kind!r}", fix=f"one of {', '.join(KINDS)}")
    records = asyncio.run(read_catalogue(settings(bootstrap, registry_url))).records
    rows = [listed(record) for _, record in sorted(records.items())]
    rows = [row for row in rows if kind in (None, row["kind"])]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    name = max((len(row["name"]) for row in rows), default=4)
    manager = max((len(row["managedBy"]) for row in rows), default=10)
    for row in rows:
        revision = "" if row["revision"] is None else f"r{row['revision']}"
        head = f"{row['kind']:12}  {row['name']:{name}}  {revision:4}  {row['managedBy']:{manager}}  {row['state']:9}"
        click.echo(f"{head}  {row['title']}".rstrip())
    click.echo(f"{len(rows)} resource(s)")


def listed(record: CatalogueRecord) -> dict[str, Any]:
    """A resource as the listing shows it."""
    resource = record.resource
    return {
        "kind": resource.kind,
        "name": resource.name,
        "revision": resource.revision_number,
        "managedBy": record.managed_by,
        "generation": record.generation,
        "state": _state(record),
        "title": resource.metadata.title,
    }


def _state(record: CatalogueRecord) -> str:
    """As `bus status` tells it: an active subscription ends by itself with its last day."""
    from bus.catalogue import clock
    from bus.catalogue.subscription import ACTIVE, Subscription

    state: str = record.status.get("state", "")
    resource = record.resource
    is_over = isinstance(resource, Subscription) and resource.has_ended(clock.now().date())
    return "ended" if state == ACTIVE and is_over else state
