"""Every metric of the bus, in one place: name, kind, unit, labels, and what it means.

A role hands its figures over as samples when it is asked; nothing is counted twice, and the data path pays nothing for
being watched. No label has a personal value: names of resources, topics, rules, groups and machines, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable


class Kind(StrEnum):
    """What a metric does: a counter only grows while its process lives, a gauge goes up and down."""

    COUNTER = "counter"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: as Prometheus shows it; a counter's gets `_total`.
        unit: of the value; stands in the name where Prometheus wants it.
        help: one sentence.
        labels: names of its labels.
    """

    name: str
    kind: Kind
    unit: str
    help: str
    labels: tuple[str, ...] = ()


class Sample(NamedTuple):
    """A metric's value now, for these values of its labels."""

    metric: Metric
    labels: tuple[str, ...]
    value: float


@dataclass(frozen=True, slots=True)
class Instrument:
    """What a role shows of itself.

    Attributes:
        role: `worker`, `adapter:gongan`, `registry`, `control`, `bus`.
        samples: its figures now.
        trouble: why it cannot do its work now; empty if it can. What `/healthz` answers by.
    """

    role: str
    samples: Callable[[], Awaitable[Iterable[Sample]]]
    trouble: Callable[[], str]


def _counter(name: str, unit: str, text: str, *labels: str) -> Metric:
    return Metric(f"shuniu_{name}", Kind.COUNTER, unit, text, labels)


def _gauge(name: str, unit: str, text: str, *labels: str) -> Metric:
    return Metric(f"shuniu_{name}", Kind.GAUGE, unit, text, labels)


# --- every role
HEARTBEAT_AGE: Final = _gauge(
    "heartbeat_age_seconds", "seconds", "Since this process wrote its last heartbeat; -1 before the first.", "role"
)

# --- workers; `group` is the consumer group of the stage: _bus.normalise or _bus.route
RECORDS_READ: Final = _counter("records_read", "records", "Records taken from an input topic.", "topic")
RECORDS_WRITTEN: Final = _counter("records_written", "records", "Records committed to an output topic.", "topic")
REJECTS: Final = _counter("rejects", "records", "Records sent to the dead letters.", "dataset", "rule")
TRANSACTIONS: Final = _counter("transactions", "transactions", "Transactions committed.", "group")
TRANSACTION_SECONDS: Final = _counter("transaction_seconds", "seconds", "Time that transactions took.", "group")
LANE_REOPENS: Final = _counter("lane_reopens", "times", "Lanes that opened again after an error.", "group")
LANES_OWNED: Final = _gauge("lanes_owned", "lanes", "Lanes that run in this process.")
LANES_FAILED: Final = _gauge("lanes_failed", "lanes", "Lanes of this process that need an operator.")
VIEW_FILLING: Final = _gauge(
    "view_filling_ratio", "ratio", "Share of a new view that is filled, of this process's lanes.", "view"
)

# --- adapters
ADAPTER_CHANGES: Final = _counter("adapter_changes", "changes", "Changes published.", "adapter")
ADAPTER_REJECTS: Final = _counter(
    "adapter_rejects", "rows", "Rows that the adapter could not read as such.", "adapter", "dataset", "rule"
)
ADAPTER_TRANSACTIONS: Final = _counter("adapter_transactions", "transactions", "Transactions committed.", "adapter")
ADAPTER_SECONDS: Final = _counter("adapter_transaction_seconds", "seconds", "Time that transactions took.", "adapter")
ADAPTER_FAILURES: Final = _counter("adapter_failures", "times", "Sessions that ended with an error.", "adapter")
ADAPTER_PENDING: Final = _gauge("adapter_pending_changes", "changes", "Changes read and not on Kafka yet.", "adapter")
ADAPTER_FRESHNESS: Final = _gauge(
    "adapter_freshness_seconds", "seconds", "Everything committed at the source so long ago is published.", "adapter"
)

# --- the registry
REGISTRY_SCHEMAS: Final = _gauge("registry_schemas", "schemas", "Schemas that the registry holds.")
REGISTRY_SUBJECTS: Final = _gauge("registry_subjects", "subjects", "Subjects that the registry holds.")

# --- control
SUBSCRIPTIONS_ENDED: Final = _gauge(
    "subscriptions_ended", "subscriptions", "Subscriptions of the catalogue whose last day is over."
)
RIGHTS_TAKEN: Final = _counter("rights_taken", "rights", "Rights of ended subscriptions that this process has taken.")

# --- the whole bus, as an onlooker sees it
VERDICT: Final = _gauge(
    "verdict", "severity", "0 OK, 1 PAUSED, 2 STALE, 3 STALLED, 4 FAILED; kind `bus` is the worst.", "kind", "name"
)
HEARD_AGE: Final = _gauge(
    "heard_age_seconds", "seconds", "Since the last heartbeat of an adapter or worker was heard.", "kind", "name"
)
DATASET_LAG: Final = _gauge("dataset_lag_records", "records", "Changes that are not normalised yet.", "dataset")
DATASET_FRESHNESS: Final = _gauge(
    "dataset_freshness_seconds", "seconds", "Everything committed at the source so long ago is normalised.", "dataset"
)
DATASET_PROMISE: Final = _gauge("dataset_promise_seconds", "seconds", "What its owner promised.", "dataset")
DATASET_REJECTS: Final = _gauge("dataset_open_rejects", "records", "Rejects that are not mended.", "dataset")
ENTITY_LAG: Final = _gauge("entity_lag_records", "records", "Records that are not routed to views yet.", "entity")
VIEW_FRESHNESS: Final = _gauge(
    "view_freshness_seconds", "seconds", "Everything committed at the sources so long ago is in the view.", "view"
)
VIEW_LATENCY: Final = _gauge(
    "view_latency_seconds", "seconds", "From the newest record's commit at its source to the view.", "view"
)
VIEW_FILLED: Final = _gauge("view_filled_ratio", "ratio", "Share of the view that is filled.", "view")
SUBSCRIPTION_LAG: Final = _gauge(
    "subscription_lag_records", "records", "Records that the subscriber's group has not taken.", "subscription"
)

ALL: Final = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
