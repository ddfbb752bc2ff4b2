"""`bus kafka`: the embedded broker in the foreground, until a signal."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from pathlib import Path

import click

from bus.commands.options import insecure


@click.command(name="kafka")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="BUS_DATA_DIR",
    default=Path(".bus"),
    show_default=True,
    help="The broker's data is kept in the folder `kafka` of it.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=9092, show_default=True, help="0: the last one, or a free one."
)
@insecure
def command(data_dir: Path, port: int, insecure: bool) -> None:
    """Run a real Apache Kafka broker on this machine, data on disk, until Ctrl-C or SIGTERM.

    Only the logins in the folder `credentials` of the data folder get in; commands that are run where this one is take
    the superuser's by themselves.
    """
    from bus.config import Settings
    from bus.credentials import SUPERUSER, Credentials
    from bus.own_broker import OwnBroker

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    broker = OwnBroker(Settings.load(data_dir=data_dir), port, secured=not insecure)
    with contextlib.suppress(KeyboardInterrupt), broker:
        bootstrap = broker.kafka.bootstrap
        login = (
            f"export KAFKA_BOOTSTRAP={bootstrap}" if insecure else f"set -a; . {Credentials(data_dir).file(SUPERUSER)}"
        )
        click.echo(f"Apache Kafka serves {bootstrap}  ({login})")
        while True:
            broker.check()
            time.sleep(0.5)
