"""`bus control`: what must happen by itself when its time has come."""

from __future__ import annotations

from functools import partial

import click

from bus.commands.options import metrics, run_measured, settings


@click.command(name="control")
@click.option("--bootstrap", metavar="HOST:PORT", help="Kafka cluster.  [env: KAFKA_BOOTSTRAP]")
@metrics
def command(bootstrap: str | None, metrics_port: int | None, metrics_host: str) -> None:
    """Take the rights of subscriptions that have ended, until Ctrl-C or SIGTERM.

    A subscription ends with the day that it is valid until (`valid_until`), at midnight in the time zone of this
    machine (TZ). Then its subscriber may no longer read the view, a consumer that is connected neither; what another
    subscription still calls for stays. To have it again, set a later `valid_until` and run `bus apply`: control gives
    no rights, and it hears of a changed date at once.

    It needs a login with ALTER and DESCRIBE on the cluster, as `bus apply` does. Run one, or several on different
    machines: they do no harm to each other. `bus up` has one.
    """
    from bus.catalogue.expiries import run_control

    chosen = settings(bootstrap, None)
    run_measured(partial(run_control, chosen), metrics_port, metrics_host)
