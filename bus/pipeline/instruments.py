"""What workers and adapters show of themselves: their counts as samples of `bus.metrics`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from bus import metrics
from bus.metrics import Instrument, Sample
from bus.pipeline.heartbeat import HEARTBEAT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bus.pipeline.heartbeat import Heart
    from bus.pipeline.runtime import AdapterRuntime
    from bus.pipeline.worker import Lanes

SILENT_SECONDS: Final = 4 * HEARTBEAT_SECONDS


def of_worker(lanes: Lanes) -> Instrument:
    """A worker's."""

    async def samples() -> list[Sample]:
        return list(_worker_samples(lanes))

    def trouble() -> str:
        failed = ", ".join(str(lane) for lane in sorted(lanes.keeper.failures))
        return f"lanes FAILED: {failed}" if failed else _silence(lanes.heart)

    return Instrument("worker", samples, trouble)


def _worker_samples(lanes: Lanes) -> Iterator[Sample]:
    counts = lanes.counts
    for metric, by_label in (
        (metrics.RECORDS_READ, counts.read),
        (metrics.RECORDS_WRITTEN, counts.written),
        (metrics.TRANSACTIONS, counts.transactions),
        (metrics.TRANSACTION_SECONDS, counts.seconds),
        (metrics.LANE_REOPENS, counts.reopened),
    ):
        for label, value in list(by_label.items()):
            yield Sample(metric, (label,), value)
    for labels, count in list(counts.rejected.items()):
        yield Sample(metrics.REJECTS, labels, count)
    yield Sample(metrics.LANES_OWNED, (), len(lanes.keeper.lanes))
    yield Sample(metrics.LANES_FAILED, (), len(lanes.keeper.failures))
    for topic, (done, whole) in lanes.beat().filling.items():
        yield Sample(metrics.VIEW_FILLING, (topic,), done / whole if whole else 1.0)
    yield Sample(metrics.HEARTBEAT_AGE, ("worker",), _age(lanes.heart))


def of_adapter(runtime: AdapterRuntime) -> Instrument:
    """An adapter's."""
    role = f"adapter:{runtime.name}"

    async def samples() -> list[Sample]:
        return list(_adapter_samples(runtime, role))

    def trouble() -> str:
        if runtime.counts.state == "waiting":
            return f"waiting: {runtime.counts.error}"
        return _silence(runtime.heart)

    return Instrument(role, samples, trouble)


def _adapter_samples(runtime: AdapterRuntime, role: str) -> Iterator[Sample]:
    counts, labels = runtime.counts, (runtime.name,)
    yield Sample(metrics.ADAPTER_CHANGES, labels, counts.changes)
    yield Sample(metrics.ADAPTER_TRANSACTIONS, labels, counts.transactions)
    yield Sample(metrics.ADAPTER_SECONDS, labels, counts.seconds)
    yield Sample(metrics.ADAPTER_FAILURES, labels, counts.failures)
    yield Sample(metrics.ADAPTER_PENDING, labels, counts.pending)
    for reject, count in list(counts.rejected.items()):
        yield Sample(metrics.ADAPTER_REJECTS, (runtime.name, *reject), count)
    beat = runtime.beat()
    if known := [each for each in (beat.caught_up, beat.position_time) if each is not None]:
        yield Sample(metrics.ADAPTER_FRESHNESS, labels, max(0.0, time.time() - max(known)))
    yield Sample(metrics.HEARTBEAT_AGE, (role,), _age(runtime.heart))


def _age(heart: Heart) -> float:
    return time.time() - heart.last if heart.last else -1.0


def _silence(heart: Heart) -> str:
    if not heart.last:
        return "no heartbeat was written yet"
    silent = time.time() - heart.last
    return f"no heartbeat could be written for {silent:.0f} s" if silent > SILENT_SECONDS else ""
