"""`bus worker`: normalise and route, as many processes as you like."""

from __future__ import annotations

from functools import partial

import click

from bus.commands.options import cluster, metrics, run_measured, settings


@click.command(name="worker")
@cluster
@metrics
def command(bootstrap: str | None, registry_url: str | None, metrics_port: int | None, metrics_host: str) -> None:
    """Run a worker: it normalises raw changes and routes them to views, until Ctrl-C or SIGTERM.

    Workers share the lanes of a cluster: start more of them, on this machine or others, and they take lanes over; stop
    or kill one, and the others take its lanes.
    """
    from bus.pipeline.worker import run_worker

    chosen = settings(bootstrap, registry_url)
    run_measured(partial(run_worker, chosen), metrics_port, metrics_host)
