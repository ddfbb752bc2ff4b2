"""`bus worker`: normalise and route, as many processes as you like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bus.commands.options import cluster, metrics, settings

if TYPE_CHECKING:
    from bus.metrics import Instrument


@click.command(name="worker")
@cluster
@metrics
def command(bootstrap: str | None, registry_url: str | None, metrics_port: int | None, metrics_host: str) -> None:
    """Run a worker: it normalises raw changes and routes them to views, until Ctrl-C or SIGTERM.

    Workers share the lanes of a cluster: start more of them, on this machine or others, and they take lanes over; stop
    or kill one, and the others take its lanes.
    """
    from bus import logs, process
    from bus.metrics_server import MetricsServer
    from bus.pipeline.worker import run_worker

    logs.configure()
    chosen = settings(bootstrap, registry_url)
    instruments: list[Instrument] = []

    async def role() -> None:
        async with MetricsServer(instruments, metrics_port, metrics_host):
            await run_worker(chosen, instruments)

    process.run(process.run_roles(role))
