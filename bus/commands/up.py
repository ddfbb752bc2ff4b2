"""`bus up`: every role in one small process tree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bus.commands.options import insecure, metrics, settings

if TYPE_CHECKING:
    from bus.config import Settings
    from bus.metrics import Instrument


@click.command(name="up")
@click.option("--bootstrap", metavar="HOST:PORT", help="An existing cluster; without it, a broker is started here.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="The broker's data are kept there.  [env: BUS_DATA_DIR; default: .bus]",
)
@click.option("--port", type=click.IntRange(0, 65535), default=9092, show_default=True, help="Broker's; 0: a free one.")
@click.option(
    "--registry-port", type=click.IntRange(0, 65535), default=8081, show_default=True, help="Registry's; 0: a free one."
)
@click.option(
    "--workspace",
    type=click.Path(path_type=Path),
    help="Apply this workspace first.  [default: the packaged one, the city of the demo]",
)
@click.option(
    "--adapter",
    "adapters",
    multiple=True,
    metavar="NAME=FILE",
    help="Run the adapter NAME, configured by a YAML file. May be given several times.",
)
@click.option(
    "--console-port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Of the operators' page, on this machine only; 0: a free one.",
)
@click.option(
    "--workers",
    type=click.IntRange(0, 64),
    default=0,
    show_default=True,
    help="Workers, each a process of its own, for more cores; a killed one is started again. 0: one in this process."
    " With --metrics-port, they serve theirs on the ports behind it.",
)
@click.option("--no-console", is_flag=True, help="Do not serve the operators' page.")
@insecure
@metrics
@click.option("--json", "as_json", is_flag=True, help="Tell the addresses as one JSON line, once everything answers.")
def command(
    bootstrap: str | None,
    data_dir: Path | None,
    port: int,
    registry_port: int,
    workspace: Path | None,
    adapters: tuple[str, ...],
    console_port: int,
    workers: int,
    no_console: bool,
    insecure: bool,
    metrics_port: int | None,
    metrics_host: str,
    as_json: bool,
) -> None:
    """Run broker, registry, worker, control, adapters and console on this machine, until Ctrl-C or SIGTERM.

    For trying out and small sites. The broker lets only those in who have a login; the logins that it made, for each
    subscriber and each adapter, are in the folder `credentials` of the data folder.

    In production each role is a process of its own, on an existing cluster: `bus registry`, `bus worker`,
    `bus control`, `bus console`, `bus adapter run`.
    """
    from bus import logs, process
    from bus.metrics_server import MetricsServer
    from bus.up import Up, adapter_files

    logs.configure()
    files = adapter_files(adapters)
    chosen = settings(bootstrap, None, data_dir=data_dir)
    instruments: list[Instrument] = []
    up = Up(
        chosen,
        None if bootstrap else port,
        registry_port,
        workspace,
        files,
        secured=not insecure,
        instruments=instruments if metrics_port is not None else None,
        console_port=None if no_console else console_port,
        workers=[_worker(number, metrics_port, metrics_host) for number in range(1, workers + 1)],
    )

    async def roles() -> None:
        async with MetricsServer(instruments, metrics_port, metrics_host):
            await up.run(lambda ready, console: click.echo(_told(ready, console, as_json=as_json)))

    process.run(roles())


def _worker(number: int, metrics_port: int | None, metrics_host: str) -> list[str]:
    """The command of a worker process."""
    if metrics_port is None:
        return ["worker"]
    port = metrics_port + number if metrics_port else 0
    return ["worker", "--metrics-port", str(port), "--metrics-host", metrics_host]


def _told(ready: Settings, console: str | None, *, as_json: bool) -> str:
    credentials = str(ready.data_dir / "credentials") if ready.kafka.username else None
    addresses = {
        "bootstrap": ready.kafka.bootstrap,
        "registry": ready.registry_url,
        "credentials": credentials,
        "console": console,
    }
    if as_json:
        return json.dumps(addresses)
    told = f"Kafka serves {ready.kafka.bootstrap}, the registry {ready.registry_url}.\n"
    if console is not None:
        told += f"What flows is shown, in a browser, at {console}\n"
    if credentials is None:
        return (
            f"{told}In another terminal:\n"
            f"  export KAFKA_BOOTSTRAP={ready.kafka.bootstrap} BUS_REGISTRY_URL={ready.registry_url}\n"
            "  bus topics"
        )
    return f"{told}Logins are in {credentials}. In another terminal, in this folder:\n  bus topics"
