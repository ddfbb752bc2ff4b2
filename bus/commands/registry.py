"""`bus registry`: the schema registry in the foreground, until a signal."""

from __future__ import annotations

import click

from bus.commands.options import settings


@click.command(name="registry")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option("--port", type=click.IntRange(0, 65535), default=8081, show_default=True, help="0: a free one.")
@click.option("--bootstrap", help="host:port of Kafka. [env: KAFKA_BOOTSTRAP]")
def command(host: str, port: int, bootstrap: str | None) -> None:
    """Serve the Confluent-compatible schema registry over the topic `_schemas`, until Ctrl-C or SIGTERM."""
    import asyncio
    import contextlib
    import signal

    from bus.registry.server import serve

    async def until_signal() -> None:
        task = asyncio.current_task()
        assert task
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await serve(chosen, host, port, lambda url: click.echo(f"schema registry serves {url}"))

    chosen = settings(bootstrap, None)
    asyncio.run(until_signal())
