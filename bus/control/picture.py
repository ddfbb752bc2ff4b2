"""From what was seen to the picture of the bus: a pure function."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bus import wire
from bus.catalogue.duration import milliseconds
from bus.catalogue.subscription import ACTIVE
from bus.catalogue.topics import NORMALISE_GROUP, ROUTE_GROUP
from bus.control.backlogs import Backlog, Extents, Reader
from bus.control.health import (
    AdapterHealth,
    BusHealth,
    DatasetHealth,
    DepartmentHealth,
    EntityHealth,
    Judged,
    LatestReject,
    SubscriberHealth,
    SubscriptionHealth,
    Verdict,
    ViewHealth,
    WorkerHealth,
)
from bus.control.tails import Tail
from bus.control.verdict import (
    OK,
    SILENT_SECONDS,
    AdapterSeen,
    ReaderSeen,
    WorkerSeen,
    is_subscription_undecided,
    is_undecided,
    judge_adapter,
    judge_ended,
    judge_freshness,
    judge_notices,
    judge_reader,
    judge_subscription,
    judge_view,
    judge_worker,
    told,
    worst,
)
from bus.pipeline.heartbeat import HEARTBEAT_SECONDS, AdapterBeat, WorkerBeat
from bus.pipeline.notices import from_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bus.catalogue.catalogue import Catalogue
    from bus.catalogue.dataset import Dataset
    from bus.catalogue.department import Department
    from bus.catalogue.entity import Entity
    from bus.catalogue.subscriber import Subscriber
    from bus.catalogue.subscription import Subscription
    from bus.catalogue.view import View
    from bus.control.beats import Heard
    from bus.errors import Finding

FINEST_SECONDS: Final = 2 * HEARTBEAT_SECONDS
"""A promise below that is judged as this: what is known of a quiet source is as old as its last heartbeat."""

FORGOTTEN_SECONDS: Final = 600.0
"""A dead worker is shown for so long beside living ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Everything that one observation saw.

    Attributes:
        now: seconds since 1970.
        interval: since the observation before; None for the first.
        catalogue: as of now.
        extents: of all partitions that were looked at; a topic without any does not exist.
        tails: by topic.
        backlogs: by reader.
        groups: subscriber → the groups that look like its own.
        adapters, workers: heartbeats by name.
        open_rejects: by dataset.
        rejects: the latest.
    """

    now: float
    bus_id: str
    catalogue: Catalogue
    interval: float | None = None
    extents: Extents = field(default_factory=lambda: Extents({}, {}))
    tails: Mapping[str, Tail] = field(default_factory=dict)
    backlogs: Mapping[Reader, Backlog] = field(default_factory=dict)
    groups: Mapping[str, Iterable[str]] = field(default_factory=dict)
    adapters: Mapping[str, Heard[AdapterBeat]] = field(default_factory=dict)
    workers: Mapping[str, Heard[WorkerBeat]] = field(default_factory=dict)
    open_rejects: Mapping[str, int] = field(default_factory=dict)
    rejects: tuple[LatestReject, ...] = ()


def picture(seen: Seen) -> BusHealth:
    """The picture of the bus."""
    return _Picture(seen).whole()


class _Picture:
    """Draws one; each part once, in the order of the flow."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._catalogue = seen.catalogue
        self._alive = [each for each in seen.workers.values() if self._lives(each)]
        self._undecided = False
        self._as_of: dict[str, float | None] = {}
        """Dataset, or `entity` → everything that the source had committed by then is there."""
        self._subscribed = self._catalogue.subscribed_views()
        self._views: defaultdict[str, list[str]] = defaultdict(list)
        """Entity → the topics of its views."""
        for view in self._subscribed:
            self._views[view.spec.entity].append(wire.view_topic(view.name, view.spec.revision))
        self._sources: defaultdict[str, set[str]] = defaultdict(set)
        """Entity → the datasets that feed it."""
        for mapping in self._catalogue.mappings.values():
            self._sources[mapping.spec.entity].add(mapping.spec.dataset)
        self._subscriptions: defaultdict[str, list[Subscription]] = defaultdict(list)
        """View's topic → the active subscriptions to it, by name."""
        for _, each in sorted(self._catalogue.subscriptions.items()):
            if self._catalogue.state_of(each) == ACTIVE:
                self._subscriptions[wire.view_topic(each.spec.view, each.spec.revision)].append(each)

    def whole(self) -> BusHealth:
        adapters = [self._adapter(name) for name in sorted(self._adapters())]
        by_name = {each.name: each for each in adapters}
        datasets = [self._dataset(each, by_name) for _, each in sorted(self._catalogue.datasets.items())]
        promises = {each.name: each.promise_seconds for each in datasets}
        entities = [self._entity(each) for _, each in sorted(self._catalogue.entities.items())]
        routed = {each.name: each for each in entities}
        views = [self._view(each, routed[each.spec.entity], promises) for each in self._subscribed]
        subscribers = self._subscribers({view.topic: view for view in views})
        workers = [self._worker(each) for _, each in sorted(self._seen.workers.items()) if self._is_shown(each)]
        departments = [self._department(each, datasets) for _, each in sorted(self._catalogue.departments.items())]
        parts: list[Judged] = [*adapters, *datasets, *workers, *entities, *views, *subscribers]
        if not workers:
            parts.append(
                Judged(
                    verdict=Verdict.STALLED,
                    code="no-worker",
                    cause="no worker has been heard of",
                    action="start one: bus worker",
                )
            )
        return BusHealth(
            time=self._seen.now,
            bus_id=self._seen.bus_id,
            interval=self._seen.interval,
            undecided=self._undecided,
            departments=tuple(departments),
            datasets=tuple(datasets),
            entities=tuple(entities),
            views=tuple(views),
            subscribers=tuple(subscribers),
            adapters=tuple(adapters),
            workers=tuple(workers),
            rejects=self._seen.rejects,
            **told(worst(parts)),
        )

    # --- who does the work

    def _lives(self, heard: Heard[Any]) -> bool:
        return heard.beat.state != "stopped" and self._seen.now - heard.at <= SILENT_SECONDS

    def _is_shown(self, heard: Heard[WorkerBeat]) -> bool:
        return not self._alive or self._seen.now - heard.at <= FORGOTTEN_SECONDS

    def _adapters(self) -> dict[str, list[Dataset]]:
        found: dict[str, list[Dataset]] = defaultdict(list)
        for _, dataset in sorted(self._catalogue.datasets.items()):
            found[dataset.spec.source.config].append(dataset)
        return found

    def _adapter(self, name: str) -> AdapterHealth:
        datasets = self._adapters()[name]
        heard = self._seen.adapters.get(name)
        beat = heard.beat if heard else AdapterBeat(host="", pid=0, state="")
        judged = judge_adapter(
            AdapterSeen(
                name=name,
                silent_seconds=max(0.0, self._seen.now - heard.at) if heard else None,
                state=beat.state,
                error=beat.error,
                host=beat.host,
                pid=beat.pid,
            )
        )
        return AdapterHealth(
            name=name,
            kind=datasets[0].spec.source.adapter,
            department=datasets[0].spec.department,
            datasets=tuple(each.name for each in datasets),
            host=beat.host,
            pid=beat.pid or None,
            state=beat.state,
            position=beat.position,
            position_time=beat.position_time,
            heard=heard.at if heard else None,
            pending=beat.pending,
            source_lag_seconds=beat.lag_seconds,
            changes=beat.changes,
            transactions=beat.transactions,
            error=beat.error,
            **told(judged),
        )

    def _worker(self, heard: Heard[WorkerBeat]) -> WorkerHealth:
        beat = heard.beat
        silent = max(0.0, self._seen.now - heard.at)
        failures = {int(lane): reason for lane, reason in beat.failures.items()}
        waiting = {int(lane): reason for lane, reason in beat.waiting.items()}
        relieved = any(each is not heard for each in self._alive)
        gone = not self._lives(heard)
        judged = judge_worker(
            WorkerSeen(
                name=beat.worker,
                silent_seconds=silent,
                state=beat.state,
                host=beat.host,
                pid=beat.pid,
                failures=failures,
                waiting=waiting,
                relieved=relieved,
            )
        )
        return WorkerHealth(
            name=beat.worker,
            host=beat.host,
            pid=beat.pid,
            state="silent" if gone and beat.state != "stopped" else beat.state,
            heard=heard.at,
            lanes=() if gone and relieved else tuple(beat.lanes),
            failures=failures,
            waiting=waiting,
            records=beat.records,
            outputs=beat.outputs,
            rejects=beat.rejects,
            transactions=beat.transactions,
            **told(judged),
        )

    # --- what flows

    def _flow(self, topic: str) -> dict[str, Any]:
        tail = self._seen.tails.get(topic, Tail())
        return {
            "topic": topic,
            "records": self._seen.extents.records(topic),
            "rate": tail.come / self._seen.interval if self._seen.interval else 0.0,
            "newest": tail.newest,
            "latency_seconds": tail.latency,
        }

    def _backlog(self, group: str, topic: str) -> tuple[Backlog, Judged]:
        """A stage's backlog on its input, and what it says."""
        if not self._seen.extents.of(topic):
            missing = Judged(
                verdict=Verdict.FAILED,
                code="topic-missing",
                cause=f"{topic} does not exist",
                action="have it made: bus apply",
            )
            return Backlog(), missing
        backlog = self._seen.backlogs.get(Reader(group, topic), Backlog())
        read = ReaderSeen(
            topic=topic,
            group=group,
            missing=backlog.missing,
            lag=backlog.lag,
            waiting_seconds=self._ago(backlog.since),
            unmoved_seconds=backlog.unmoved,
            workers=len(self._alive),
        )
        self._undecided |= is_undecided(read)
        return backlog, judge_reader(read)

    def _ago(self, moment: float | None) -> float | None:
        return None if moment is None else max(0.0, self._seen.now - moment)

    def _dataset(self, dataset: Dataset, adapters: Mapping[str, AdapterHealth]) -> DatasetHealth:
        spec = dataset.spec
        topic = wire.raw_topic(dataset.name)
        entities = tuple(sorted({each.spec.entity for each in self._catalogue.mappings_of(dataset.name)}))
        backlog, read = self._backlog(NORMALISE_GROUP, topic) if entities else (Backlog(), OK)
        as_of = _earliest([self._published(spec.source.config), backlog.source_time])
        self._as_of[dataset.name] = as_of
        promise = milliseconds(spec.update.within) / 1000
        freshness = self._ago(as_of)
        late = judge_freshness(
            f"dataset {dataset.name}", freshness, max(promise, FINEST_SECONDS), self._owner(spec.department)
        )
        notices = self._notices(dataset)
        said = judge_notices(f"dataset {dataset.name}", notices)
        return DatasetHealth(
            name=dataset.name,
            title=dataset.metadata.title,
            department=spec.department,
            adapter=spec.source.config,
            entities=entities,
            share=spec.share.type,
            lag=backlog.lag,
            waiting_seconds=self._ago(backlog.since),
            freshness_seconds=freshness,
            promise_seconds=promise,
            open_rejects=self._seen.open_rejects.get(dataset.name, 0),
            notices=notices,
            **self._flow(topic),
            **told(worst([adapters[spec.source.config], said, read, late])),
        )

    def _notices(self, dataset: Dataset) -> tuple[Finding, ...]:
        adapter = self._seen.adapters.get(dataset.spec.source.config)
        return from_json(adapter.beat.notices, dataset.name) if adapter else ()

    def _published(self, adapter: str) -> float | None:
        """Everything that the adapter's source had committed by then is on the bus."""
        heard = self._seen.adapters.get(adapter)
        if heard is None:
            return None
        known = [each for each in (heard.beat.caught_up, heard.beat.position_time) if each is not None]
        return heard.here(max(known)) if known else None

    def _owner(self, department: str) -> str:
        contact = next((each for each in self._contacts(self._catalogue.departments.get(department))), "")
        return f"{department}: {contact}" if contact else department

    @staticmethod
    def _contacts(department: Department | None) -> list[str]:
        contacts = department.spec.contacts if department is not None else ()
        return [", ".join(filter(None, [each.name, each.role, each.phone, each.email])) for each in contacts]

    def _entity(self, entity: Entity) -> EntityHealth:
        topic = wire.shared_topic(entity.name)
        datasets, views = sorted(self._sources[entity.name]), self._views[entity.name]
        backlog, read = self._backlog(ROUTE_GROUP, topic) if views else (Backlog(), OK)
        as_of = _earliest([*(self._as_of.get(each) for each in datasets), backlog.source_time])
        self._as_of[topic] = as_of
        return EntityHealth(
            name=entity.name,
            title=entity.metadata.title,
            nature=entity.spec.nature,
            datasets=tuple(datasets),
            views=tuple(views),
            lag=backlog.lag,
            waiting_seconds=self._ago(backlog.since),
            freshness_seconds=self._ago(as_of),
            **self._flow(topic),
            **told(read),
        )

    def _view(self, view: View, entity: EntityHealth, promises: Mapping[str, float]) -> ViewHealth:
        topic = wire.view_topic(view.name, view.spec.revision)
        unrouted = self._unrouted(topic)
        filled = 0.0 if unrouted else self._filled(topic)
        promise = max((promises.get(each, 0.0) for each in entity.datasets), default=0.0)
        late = judge_freshness(f"view {topic}", entity.freshness_seconds, max(promise, FINEST_SECONDS), "")
        own = judge_view(topic, filled, exists=bool(self._seen.extents.of(topic)), unrouted=unrouted)
        return ViewHealth(
            name=view.name,
            revision=view.spec.revision,
            title=view.metadata.title,
            entity=entity.name,
            filtered=view.spec.filter is not None,
            subscribers=tuple(sorted({each.spec.subscriber for each in self._subscriptions[topic]})),
            lag=entity.lag,
            freshness_seconds=entity.freshness_seconds,
            filled=filled,
            unrouted=unrouted[0] if unrouted else "",
            promise_seconds=promise,
            **self._flow(topic),
            **told(worst([own, entity, late])),
        )

    def _unrouted(self, topic: str) -> list[str]:
        """Why living workers route nothing to a view, and what to do; empty if they do."""
        return next((each.beat.unrouted[topic] for each in self._alive if topic in each.beat.unrouted), [])

    def _filled(self, topic: str) -> float:
        """Share that is filled, as the workers told last: the living ones, or else whoever was there."""
        beats = [each.beat for each in (self._alive or self._seen.workers.values())]
        parts = [beat.filling[topic] for beat in beats if topic in beat.filling]
        whole = sum(part[1] for part in parts)
        return sum(part[0] for part in parts) / whole if whole else 1.0

    # --- who gives and who receives

    def _department(self, department: Department, datasets: list[DatasetHealth]) -> DepartmentHealth:
        own = [each for each in datasets if each.department == department.name]
        fresh = [each.freshness_seconds for each in own if each.freshness_seconds is not None]
        subscribers = self._catalogue.subscribers.values()
        return DepartmentHealth(
            name=department.name,
            title=department.metadata.title,
            division=department.spec.division,
            contacts=tuple(self._contacts(department)),
            datasets=tuple(each.name for each in own),
            subscribers=tuple(sorted(each.name for each in subscribers if each.spec.department == department.name)),
            freshness_seconds=max(fresh, default=None),
            open_rejects=sum(each.open_rejects for each in own),
            rate=sum(each.rate for each in own),
            **told(worst(own)),
        )

    def _subscribers(self, views: Mapping[str, ViewHealth]) -> list[SubscriberHealth]:
        found: dict[str, list[SubscriptionHealth]] = defaultdict(list)
        for topic, view in views.items():
            for subscription in self._subscriptions[topic]:
                found[subscription.spec.subscriber].append(self._subscription(subscription, view))
        return [
            self._subscriber(self._catalogue.subscribers[name], found[name])
            for name in sorted(self._catalogue.subscribers)
        ]

    @staticmethod
    def _subscriber(subscriber: Subscriber, subscriptions: list[SubscriptionHealth]) -> SubscriberHealth:
        return SubscriberHealth(
            name=subscriber.name,
            title=subscriber.metadata.title,
            department=subscriber.spec.department,
            subscriptions=tuple(subscriptions),
            **told(worst(subscriptions)),
        )

    def _subscription(self, subscription: Subscription, view: ViewHealth) -> SubscriptionHealth:
        spec = subscription.spec
        readers = [Reader(group, view.topic) for group in sorted(self._seen.groups.get(spec.subscriber, ()))]
        reader = next((each for each in readers if each in self._seen.backlogs), None)
        backlog = self._seen.backlogs[reader] if reader else None
        ended = subscription.has_ended(dt.datetime.fromtimestamp(self._seen.now).astimezone().date())
        read = self._taken(reader, backlog) if reader and backlog and not ended else None
        self._undecided |= read is not None and view.ok and is_subscription_undecided(read)
        return SubscriptionHealth(
            name=subscription.name,
            subscriber=spec.subscriber,
            view=view.topic,
            delivery=spec.delivery,
            valid_until=spec.valid_until.isoformat(),
            group=reader.group if reader else "",
            lag=backlog.lag if backlog else None,
            rate=backlog.taken / self._seen.interval if backlog and self._seen.interval else 0.0,
            **told(judge_ended(spec.valid_until) if ended else judge_subscription(view, read)),
        )

    def _taken(self, reader: Reader, backlog: Backlog) -> ReaderSeen:
        """How far a subscriber's group has read its view; partitions that it has no offset of are its own affair."""
        return ReaderSeen(
            topic=reader.topic,
            group=reader.group,
            lag=backlog.lag,
            waiting_seconds=self._ago(backlog.since),
            unmoved_seconds=backlog.unmoved,
        )


def _earliest(moments: Iterable[float | None]) -> float | None:
    """The earliest of those that are known."""
    return min((each for each in moments if each is not None), default=None)
