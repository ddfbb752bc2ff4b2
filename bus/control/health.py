"""The picture of the bus that operators look at: frozen values, made by `bus.control.observer`, drawn by others.

It follows the flow: departments → datasets → entities → views → subscribers, and beside them who does the work
(adapters, workers). Parts name each other by their names in the catalogue. No record's key or value is ever in it.

Units: times are seconds since 1970 (UTC), durations are seconds, rates are records per second, lags are records.
None means: not known (never heard of, not visible with these rights), which is never the same as 0.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from bus.errors import Finding

FORM: Final = 1
"""Version of the JSON form; fields may be added under one number, none goes or changes its meaning."""


class Verdict(StrEnum):
    """How something is (design §7), from good to bad."""

    OK = "OK"
    PAUSED = "PAUSED"
    """Somebody stopped it on purpose, or a limit did."""
    STALE = "STALE"
    """Older than its owner promised."""
    STALLED = "STALLED"
    """There is work, and nobody does it."""
    FAILED = "FAILED"
    """It does not go on by itself: an operator is needed."""

    @property
    def severity(self) -> int:
        """0 for OK, more for worse."""
        return list(Verdict).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What every part of the picture bears: a verdict, and in words why and what to do.

    Attributes:
        code: the cause as one stable word (`adapter-silent`), for programs and translations; empty when OK.
        cause: the cause in a sentence; may also tell something noteworthy of what is OK.
        action: what to do next; empty if there is nothing to do.
    """

    verdict: Verdict = Verdict.OK
    code: str = ""
    cause: str = ""
    action: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing needs to be done."""
        return self.verdict is Verdict.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterHealth(Judged):
    """An adapter instance, as its heartbeats tell.

    Attributes:
        name: of the instance; `bus adapter run <name>`.
        kind: `postgres`, `files` …
        datasets: that it publishes.
        host, pid: of the process that was heard of last.
        state: starting, running, snapshot, waiting, stopped or failed; empty if it was never heard of.
        position: how far it has read, in the source's own terms.
        position_time: source commit time of that.
        heard: when it was heard of last.
        pending: changes that it has read and Kafka has not yet.
        source_lag_seconds: how old the changes are that it publishes now: 0.0 when it has caught up; None before it
            has published anything, and in a snapshot.
        changes, transactions: since its process began.
        error: class of its last error; empty if there was none.
    """

    name: str
    kind: str = ""
    department: str = ""
    datasets: tuple[str, ...] = ()
    host: str = ""
    pid: int | None = None
    state: str = ""
    position: str = ""
    position_time: float | None = None
    heard: float | None = None
    pending: int = 0
    source_lag_seconds: float | None = None
    changes: int = 0
    transactions: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerHealth(Judged):
    """A worker process, as its heartbeats tell.

    Attributes:
        name: of the process, unique.
        lanes: that it owns; none where it is gone and others have them.
        state: running, stopped, or silent, which is dead or cut off.
        failures: lane → what it failed of.
        waiting: lane → why it opens again and again without going on.
        records, outputs, rejects, transactions: since it began, over all its lanes.
    """

    name: str
    host: str = ""
    pid: int | None = None
    state: str = ""
    heard: float | None = None
    lanes: tuple[int, ...] = ()
    failures: dict[int, str] = field(default_factory=dict)
    waiting: dict[int, str] = field(default_factory=dict)
    records: int = 0
    outputs: int = 0
    rejects: int = 0
    transactions: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetHealth(Judged):
    """A published dataset, from its source to the shared records.

    Attributes:
        department: its owner's name.
        adapter: instance that publishes it.
        entities: that it is normalised to.
        share: unconditional, conditional or none.
        topic: `raw.<name>`.
        records: that the topic holds, about.
        rate: changes per second that come in.
        lag: changes that are not normalised yet.
        waiting_seconds: how long the oldest of those has been on the bus; None if there is none.
        freshness_seconds: everything that the source committed up to so long ago is normalised.
        latency_seconds: from the newest change's commit at the source to its being on the bus.
        promise_seconds: what its owner promised for the freshness.
        newest: source commit time of the newest change.
        open_rejects: changes that were rejected and not mended.
        notices: what of its source needs a person now, as its adapter told last: an error waits, a
            warning was left out.
    """

    name: str
    title: str = ""
    department: str = ""
    adapter: str = ""
    entities: tuple[str, ...] = ()
    share: str = ""
    topic: str = ""
    records: int = 0
    rate: float = 0.0
    lag: int = 0
    waiting_seconds: float | None = None
    freshness_seconds: float | None = None
    latency_seconds: float | None = None
    promise_seconds: float = 0.0
    newest: float | None = None
    open_rejects: int = 0
    notices: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DepartmentHealth(Judged):
    """A department: the worst of what it publishes.

    Attributes:
        contacts: whom to call, in order, as the catalogue has them: `name, role, phone`.
        datasets: that it publishes, by name.
        subscribers: systems of its own that receive data.
        freshness_seconds: of its oldest dataset.
        open_rejects: of all its datasets.
        rate: changes per second of all its datasets.
    """

    name: str
    title: str = ""
    division: str = ""
    contacts: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    subscribers: tuple[str, ...] = ()
    freshness_seconds: float | None = None
    open_rejects: int = 0
    rate: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityHealth(Judged):
    """An entity: its shared records, and their way to the views.

    Attributes:
        datasets: that feed it.
        views: topics of the views of it that somebody subscribes to.
        nature: state or event.
        topic: `shared.<name>`.
        lag: records that are not routed to the views yet; 0 if there is no view.
        freshness_seconds: everything that the sources committed up to so long ago is routed.
        others: as of `DatasetHealth`.
    """

    name: str
    title: str = ""
    nature: str = "state"
    datasets: tuple[str, ...] = ()
    views: tuple[str, ...] = ()
    topic: str = ""
    records: int = 0
    rate: float = 0.0
    lag: int = 0
    waiting_seconds: float | None = None
    freshness_seconds: float | None = None
    latency_seconds: float | None = None
    newest: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewHealth(Judged):
    """A revision of a view that somebody subscribes to.

    Attributes:
        name, revision: of the view.
        topic: `view.<name>.v<N>`, by which others name it.
        entity: it is a view of.
        filtered: it shows only some rows.
        subscribers: names of those who receive it.
        lag: records of the entity that are not routed yet, so may still come.
        freshness_seconds: everything that the sources committed up to so long ago is in the view.
        latency_seconds: from the newest record's commit at the source to its being in the view.
        filled: share of the records from before the view was made that are in it, 0.0 to 1.0.
        unrouted: why workers route nothing to it; empty if they do.
        promise_seconds: the longest promise of the datasets that feed it.
        others: as of `DatasetHealth`.
    """

    name: str
    revision: int
    topic: str
    title: str = ""
    entity: str = ""
    filtered: bool = False
    subscribers: tuple[str, ...] = ()
    records: int = 0
    rate: float = 0.0
    lag: int = 0
    freshness_seconds: float | None = None
    latency_seconds: float | None = None
    newest: float | None = None
    filled: float = 1.0
    unrouted: str = ""
    promise_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionHealth(Judged):
    """Who receives which view, and how far behind it is.

    Attributes:
        name: of the subscription.
        subscriber: its name.
        view: topic of the view.
        delivery: how.
        valid_until: last day, ISO date.
        group: consumer group that reads for it; empty if none is visible.
        lag: records of the view that it has not acknowledged; None where no group is visible.
        rate: records per second that it acknowledges.
    """

    name: str
    subscriber: str
    view: str
    delivery: str = ""
    valid_until: str = ""
    group: str = ""
    lag: int | None = None
    rate: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriberHealth(Judged):
    """A receiving system: the worst of its subscriptions."""

    name: str
    title: str = ""
    department: str = ""
    subscriptions: tuple[SubscriptionHealth, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestReject:
    """A record that was rejected, without anything of its content.

    Attributes:
        time: when.
        dataset: whose.
        stage: ingest, normalise or route.
        rule, field: that it broke.
        reason: one sentence.
        where: topic/partition/offset of the original; empty if it never was on the bus.
        offset: on `dlq.<dataset>`.
    """

    time: float
    dataset: str
    stage: str = ""
    rule: str = ""
    field: str = ""
    reason: str = ""
    where: str = ""
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BusHealth(Judged):
    """The whole bus at one moment; its own verdict is the worst of its parts'.

    Attributes:
        time: of the observation.
        bus_id: which bus.
        interval: seconds since the observation before it, over which rates are taken; None for the first.
        undecided: something waits that may be stalled or only slow: observe for a few seconds more to know.
        rejects: the latest ones, newest first.
    """

    time: float
    bus_id: str
    interval: float | None = None
    undecided: bool = False
    departments: tuple[DepartmentHealth, ...] = ()
    datasets: tuple[DatasetHealth, ...] = ()
    entities: tuple[EntityHealth, ...] = ()
    views: tuple[ViewHealth, ...] = ()
    subscribers: tuple[SubscriberHealth, ...] = ()
    adapters: tuple[AdapterHealth, ...] = ()
    workers: tuple[WorkerHealth, ...] = ()
    rejects: tuple[LatestReject, ...] = ()

    @property
    def parts(self) -> tuple[Judged, ...]:
        """Everything that bears a verdict, in the order of the flow."""
        return (*self.adapters, *self.datasets, *self.workers, *self.entities, *self.views, *self.subscribers)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values; `form` is the version of this form."""
        plain: dict[str, Any] = _plain(asdict(self))
        return {"form": FORM, **plain}


def _plain(value: Any) -> Any:
    """JSON's own types; durations and times to the millisecond."""
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return round(value, 3)
    return str(value) if isinstance(value, StrEnum) else value
