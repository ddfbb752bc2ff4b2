"""`bus topics`: the bus's topics on a cluster."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from bus.commands.options import cluster, settings


@click.command(name="topics")
@cluster
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(bootstrap: str | None, registry_url: str | None, as_json: bool) -> None:
    """List the bus's topics that the login may see, and what they are for; other topics of the cluster are left out.

    The column `offsets` tells how many a topic has: one for each record, and one for each mark by which a transaction
    ends; where a topic is compacted, also for records that are gone. So there are about as many records, or fewer.
    """
    from bus.catalogue.topic_list import purpose_of, topic_lines
    from bus.kafka.admin import Admin

    admin = Admin(settings(bootstrap, registry_url).kafka)
    topics = {name: state for name, state in admin.topics(also_undescribed=True).items() if purpose_of(name)}
    lines = list(topic_lines(topics, admin.record_counts(topics)))
    if as_json:
        click.echo(json.dumps([asdict(line) for line in lines], ensure_ascii=False, indent=2))
        return
    if not lines:
        click.echo("no topics of the bus yet; `bus apply` makes them")
        return
    width = max(len(line.topic) for line in lines)
    click.echo(f"{'topic':{width}}  {'partitions':>10}  {'offsets':>10}  {'cleanup':15}for")
    for line in lines:
        click.echo(f"{line.topic:{width}}  {line.partitions:>10}  {line.records:>10,}  {line.cleanup:15}{line.purpose}")
