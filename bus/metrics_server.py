"""`/metrics` for Prometheus and `/healthz` for whoever restarts processes, beside any role; off unless asked for."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Final, Self

from aiohttp import web
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from bus.errors import BusError
from bus.metrics import Kind, Metric, Sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType

    from bus.metrics import Instrument

LOOPBACK: Final = "127.0.0.1"


class MetricsPortTakenError(BusError):
    """The metrics cannot be served there."""


class MetricsServer:
    """Serves the figures of the roles of this process; `async with MetricsServer(…)`.

    Args:
        instruments: of the roles; may grow while it serves.
        port: 0 for a free one; None serves nothing.
        host: address to listen on.
    """

    def __init__(self, instruments: Sequence[Instrument], port: int | None, host: str = LOOPBACK) -> None:
        self.port = port
        self._host = host
        self._instruments = instruments
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            MetricsPortTakenError: the address is taken, or is none of this machine's.
        """
        if self.port is None:
            return self
        application = web.Application()
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/healthz", self._healthz)
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self.port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise MetricsPortTakenError(
                error.strerror or "",
                where=f"{self._host}:{self.port}",
                fix="name another port: --metrics-port or BUS_METRICS_PORT",
            ) from None
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _metrics(self, _request: web.Request) -> web.Response:
        samples = [sample for each in self._instruments for sample in await each.samples()]
        return web.Response(body=exposition(samples), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _healthz(self, _request: web.Request) -> web.Response:
        troubles = {each.role: each.trouble() for each in self._instruments}
        told = {role: trouble or "ok" for role, trouble in troubles.items()}
        return web.Response(
            text=json.dumps(told, ensure_ascii=False),
            status=503 if any(troubles.values()) or not troubles else 200,
            content_type="application/json",
        )


def exposition(samples: Iterable[Sample]) -> bytes:
    """The samples in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Collected(samples))
    return generate_latest(registry)


class _Collected(Collector):
    """Samples as prometheus_client asks for them."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._samples: dict[Metric, list[Sample]] = defaultdict(list)
        for sample in samples:
            self._samples[sample.metric].append(sample)

    def collect(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
        """Each metric with all of its samples."""
        for metric, samples in self._samples.items():
            family = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
            made = family(metric.name, metric.help, labels=metric.labels)
            for sample in samples:
                made.add_metric(sample.labels, sample.value)
            yield made
