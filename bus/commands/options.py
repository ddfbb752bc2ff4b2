"""Options that commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from bus.config import Settings


def cluster(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--bootstrap` and `--registry`; without them the environment is asked."""
    function = click.option(
        "--registry", "registry_url", metavar="URL", help="Schema registry.  [env: BUS_REGISTRY_URL]"
    )(function)
    return click.option("--bootstrap", metavar="HOST:PORT", help="Kafka cluster.  [env: KAFKA_BOOTSTRAP]")(function)


def settings(bootstrap: str | None, registry_url: str | None, **more: Any) -> Settings:
    """The process's settings, with those options over them."""
    from bus.config import Settings

    return Settings.load(bootstrap=bootstrap, registry_url=registry_url, **more)
