"""`bus registry`: the schema registry in the foreground, until a signal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bus.commands.options import metrics, settings

if TYPE_CHECKING:
    from bus.metrics import Instrument
    from bus.registry.server import RegistryServer


@click.command(name="registry")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option("--port", type=click.IntRange(0, 65535), default=8081, show_default=True, help="0: a free one.")
@click.option("--bootstrap", help="host:port of Kafka. [env: KAFKA_BOOTSTRAP]")
@metrics
def command(host: str, port: int, bootstrap: str | None, metrics_port: int | None, metrics_host: str) -> None:
    """Serve the Confluent-compatible schema registry over the topic `_schemas`, until Ctrl-C or SIGTERM."""
    import asyncio
    import contextlib
    import signal

    from bus import logs
    from bus.metrics_server import MetricsServer
    from bus.registry.server import serve

    instruments: list[Instrument] = []

    def on_start(server: RegistryServer) -> None:
        instruments.append(server.instrument)
        click.echo(f"schema registry serves {server.url}")

    async def until_signal() -> None:
        task = asyncio.current_task()
        assert task
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            async with MetricsServer(instruments, metrics_port, metrics_host):
                await serve(chosen, host, port, on_start)

    logs.configure()
    chosen = settings(bootstrap, None)
    asyncio.run(until_signal())
