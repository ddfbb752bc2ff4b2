"""`bus console`: the page for operators, in the foreground, until a signal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bus.commands.options import cluster, settings

if TYPE_CHECKING:
    from bus.console.language import Code


@click.command(name="console")
@cluster
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0: a free one.")
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="HOST",
    help="A further host name by which browsers may ask for it, a reverse proxy's for instance; several times.",
)
@click.option(
    "--language",
    type=click.Choice(["zh", "en"]),
    help="For everybody who does not choose one on the page.  [default: as their browser asks]",
)
def command(
    bootstrap: str | None,
    registry_url: str | None,
    host: str,
    port: int,
    names: tuple[str, ...],
    language: Code | None,
) -> None:
    """Serve the operators' page: the flow with its rates and verdicts, what needs a person now, the latest rejects.

    It only shows, and asks nobody who looks on: on another address than loopback, put a reverse proxy with a login
    before it.
    """
    from bus import logs, process
    from bus.console.app import Site
    from bus.console.server import serve

    logs.configure()
    site = Site(host=host, port=port, names=names, language=language)
    chosen = settings(bootstrap, registry_url)
    process.run(process.run_roles(lambda: serve(chosen, site, lambda url: click.echo(f"the console serves {url}"))))
