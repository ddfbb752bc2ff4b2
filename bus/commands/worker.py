"""`bus worker`: normalise and route, as many processes as you like."""

from __future__ import annotations

import click

from bus.commands.options import cluster, settings


@click.command(name="worker")
@cluster
def command(bootstrap: str | None, registry_url: str | None) -> None:
    """Run a worker: it normalises raw changes and routes them to views, until Ctrl-C or SIGTERM.

    Workers share the lanes of a cluster: start more of them, on this machine or others, and they take lanes over; stop
    or kill one, and the others take its lanes.
    """
    from bus import logs, process
    from bus.pipeline.worker import run_worker

    logs.configure()
    chosen = settings(bootstrap, registry_url)
    process.run(process.run_roles(lambda: run_worker(chosen)))
