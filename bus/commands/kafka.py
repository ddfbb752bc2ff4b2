"""`bus kafka`: the embedded broker in the foreground, until a signal."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from pathlib import Path

import click


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
def command(data_dir: Path, port: int) -> None:
    """Run a real Apache Kafka broker on this machine, data on disk, until Ctrl-C or SIGTERM."""
    from bus.errors import EmbeddedKafkaError
    from bus.kafka.embedded import EmbeddedKafka

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    with contextlib.suppress(KeyboardInterrupt), EmbeddedKafka(data_dir / "kafka", port) as kafka:
        click.echo(f"Apache Kafka serves {kafka.bootstrap}  (export KAFKA_BOOTSTRAP={kafka.bootstrap})")
        while kafka.is_running:
            time.sleep(0.5)
        raise EmbeddedKafkaError("its JVM ended", where=str(data_dir / "kafka" / "logs"))
