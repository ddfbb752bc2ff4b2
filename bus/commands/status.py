"""`bus status`: how the bus is, in verdicts."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any, Final

import click

from bus.commands.options import cluster, settings
from bus.errors import BusError

if TYPE_CHECKING:
    from rich.console import Console

    from bus.config import Settings
    from bus.control.health import BusHealth

BETWEEN_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 6.0
"""How long `--once` looks on after its first look, to tell a stalled reader from a slow one."""


@click.command(name="status")
@cluster
@click.option("--once", is_flag=True, help="Print once and end.  [default where standard output is no terminal]")
@click.option("--json", "as_json", is_flag=True, help="Print once, as JSON.")
@click.option("--metrics-port", type=click.IntRange(0, 65535), help="Serve /metrics there instead; 0: a free port.")
@click.option("--metrics-host", default="127.0.0.1", show_default=True, help="Address of the metrics; 0.0.0.0 for all.")
def command(
    bootstrap: str | None,
    registry_url: str | None,
    once: bool,
    as_json: bool,
    metrics_port: int | None,
    metrics_host: str,
) -> None:
    """Show how the bus is: a verdict first, its cause and the next action, then every dataset, view and subscriber.

    \b
    OK       as promised. A quiet source is OK: its adapter's heartbeat tells that it lives.
    PAUSED   stopped on purpose, or by a limit.
    STALE    older than its owner promised (`update.within` of the dataset).
    STALLED  there is work, and nobody does it: an adapter or worker is dead, or makes no progress.
    FAILED   does not go on by itself: an operator is needed.

    \b
    per s      records that came in, per second, since the look before.
    lag        records that the next stage, or the subscriber, has not taken yet.
    freshness  everything that the source had committed up to so long ago is there.
    latency    from the newest record's commit at its source to its being on that topic.
    rejects    keys whose newest change was rejected and is not mended; see `bus dlq ls`.

    Looks anew every second until Ctrl-C. With --once or --json it looks for a second or two, up to six where only a
    longer look tells what stands still from what is slow; its exit code is 0 when everything is OK, 1 otherwise. With
    --metrics-port it serves verdicts, lags and freshness to Prometheus instead of showing them. It joins no consumer
    group and writes nothing; it works while workers and adapters are down, and says so.
    """  # noqa: D301  (click's mark for lines that are not to be wrapped)
    from rich.console import Console

    console = Console()
    chosen = settings(bootstrap, registry_url)
    if metrics_port is not None and not (once or as_json):
        _serve(chosen, metrics_port, metrics_host)
        return
    if as_json or once or not console.is_terminal:
        if as_json:
            health = _once_or_error(chosen)
            click.echo(json.dumps(health.as_json(), ensure_ascii=False, indent=2))
        else:
            health = asyncio.run(_once(chosen))
            _print(health, console)
        click.get_current_context().exit(0 if health.ok else 1)
    try:
        asyncio.run(_live(chosen, console))
    except KeyboardInterrupt:
        return


def _serve(chosen: Settings, port: int, host: str) -> None:
    from bus import logs, process
    from bus.control.instruments import of_bus
    from bus.control.observer import Observer
    from bus.metrics_server import MetricsServer

    async def role() -> None:
        async with Observer(chosen) as observer, MetricsServer([of_bus(observer)], port, host) as server:
            click.echo(f"metrics of the whole bus are on {host}:{server.port}/metrics")
            await asyncio.Event().wait()

    logs.configure()
    process.run(process.run_roles(role))


def _once_or_error(chosen: Settings) -> BusHealth:
    """As `_once`; an error is told as JSON too, for a program that reads standard output and nothing else."""
    try:
        return asyncio.run(_once(chosen))
    except BusError as error:
        click.echo(json.dumps(_as_json(error), ensure_ascii=False, indent=2))
        raise


def _as_json(error: BusError) -> dict[str, Any]:
    from bus.control.health import FORM

    told = {"summary": error.summary, "detail": error.detail, "where": error.where, "fix": error.fix}
    return {"form": FORM, "error": told}


async def _once(chosen: Settings) -> BusHealth:
    from bus.control.observer import Observer

    async with Observer(chosen) as observer:
        health = await observer.observe()
        deadline = time.monotonic() + LONGEST_SECONDS
        while health.interval is None or (health.undecided and time.monotonic() < deadline):
            await asyncio.sleep(BETWEEN_SECONDS)
            health = await observer.observe()
        return health


def _print(health: BusHealth, console: Console) -> None:
    from bus.control.screen import draw

    if not console.is_terminal:
        console.width = max(console.width, 160)  # a file has no edge to wrap at
    console.print(draw(health))


async def _live(chosen: Settings, console: Console) -> None:
    from rich.live import Live

    from bus.control.observer import Observer
    from bus.control.screen import draw
    from bus.errors import DependencyError

    async with Observer(chosen) as observer:
        health = await observer.observe()
        with Live(draw(health), console=console, auto_refresh=False, screen=True) as live:
            while True:
                await asyncio.sleep(BETWEEN_SECONDS)
                trouble = ""
                try:
                    health = await observer.observe()
                except DependencyError as error:
                    trouble = f"not newer than that: {error.summary} ({error.where})"
                live.update(draw(health, trouble), refresh=True)
