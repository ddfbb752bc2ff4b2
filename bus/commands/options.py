"""Options that commands share, and where their settings come from: option, environment, `.bus/credentials`."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bus.config import Settings
    from bus.metrics import Instrument


def cluster(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--bootstrap` and `--registry`; without them the environment is asked."""
    function = click.option(
        "--registry", "registry_url", metavar="URL", help="Schema registry.  [env: BUS_REGISTRY_URL]"
    )(function)
    return click.option("--bootstrap", metavar="HOST:PORT", help="Kafka cluster.  [env: KAFKA_BOOTSTRAP]")(function)


def metrics(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--metrics-port` and `--metrics-host`, of roles; off unless asked for, and on loopback unless told otherwise."""
    function = click.option(
        "--metrics-host",
        envvar="BUS_METRICS_HOST",
        default="127.0.0.1",
        show_default=True,
        help="Address of the metrics; 0.0.0.0 for all.  [env: BUS_METRICS_HOST]",
    )(function)
    return click.option(
        "--metrics-port",
        envvar="BUS_METRICS_PORT",
        type=click.IntRange(0, 65535),
        help="Serve /metrics (Prometheus) and /healthz there; 0: a free port.  [env: BUS_METRICS_PORT; default: off]",
    )(function)


def run_measured(role: Callable[[list[Instrument]], Awaitable[None]], port: int | None, host: str) -> None:
    """Run a role until a signal, with its figures served beside it.

    Args:
        role: is given the list that it adds its instruments to.
        port: of the metrics; None serves none.
        host: address of the metrics.

    Raises:
        BusError: what ended the role.
    """
    from bus import logs, process
    from bus.metrics_server import MetricsServer

    instruments: list[Instrument] = []

    async def measured() -> None:
        async with MetricsServer(instruments, port, host):
            await role(instruments)

    logs.configure()
    process.run(process.run_roles(measured))


class FiniteRange(click.FloatRange):
    """A range of floats without those that click lets through any: nan and infinity."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number.

        Raises:
            click.BadParameter: not one of the range.
        """
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


def insecure(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--insecure`, of commands that start a broker."""
    return click.option(
        "--insecure", is_flag=True, help="A broker without logins: every process of this machine reads everything."
    )(function)


def settings(
    bootstrap: str | None, registry_url: str | None, *, principal: str = "", data_dir: Path | None = None
) -> Settings:
    """The process's settings: those options, else the environment, else the principal's login in the data folder.

    Args:
        bootstrap: the option, if it was given.
        registry_url: likewise.
        principal: whose login is looked for before the superuser's.
        data_dir: the option, if it was given.

    Raises:
        CredentialsError: there is such a login, and this user may not read it.
    """
    from bus.config import Settings
    from bus.credentials import SUPERUSER, found_login

    folder = data_dir or Path(os.environ.get("BUS_DATA_DIR") or Settings().data_dir)
    login = found_login(os.environ, principal, bootstrap, folder) if principal else {}
    login = login or found_login(os.environ, SUPERUSER, bootstrap, folder)
    given = {name: value for name, value in os.environ.items() if value}
    return Settings.load({**login, **given}, bootstrap=bootstrap, registry_url=registry_url, data_dir=data_dir)
