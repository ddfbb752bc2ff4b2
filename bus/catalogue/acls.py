"""Who may do what: the ACLs that the catalogue's resources call for, and nothing beyond (design §6).

A subscriber reads the topics of the views that it subscribes to, in groups of its own name: `<subscriber>` and
`<subscriber>.…`. An adapter writes the topics of its datasets and its department's positions, under one transactional
id, and reads the catalogue. Kafka lets whoever may READ or WRITE a topic DESCRIBE it too, and whoever may WRITE some
topic use an idempotent producer (KIP-679), so neither is given.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Protocol

from bus.catalogue.dataset import Dataset
from bus.catalogue.subscriber import Subscriber
from bus.catalogue.subscription import ACTIVE, Subscription
from bus.catalogue.topics import CATALOGUE_TOPIC
from bus.credentials import adapter_principal
from bus.kafka.principals import Acl
from bus.wire import dlq_topic, positions_topic, raw_topic, view_topic

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator

    from bus.catalogue.model import Resource


class InForce(Protocol):
    """Resources, with each subscription's state: a catalogue as it is, or as it will be with a workspace."""

    def in_force(self) -> list[Resource]:
        """All of them, whoever manages them."""
        ...

    def state_of(self, subscription: Subscription) -> str:
        """The state of one of their subscriptions."""
        ...


def principals_of(resources: Iterable[Resource]) -> set[str]:
    """The principals that resources stand for: subscribers, and the adapters of datasets."""
    return {principal for resource in resources for principal in _principals(resource)}


def wanted_acls(wanted: InForce, bus_id: str, today: dt.date) -> set[Acl]:
    """Everything that the resources let principals do.

    Args:
        wanted: the catalogue, or the workspace beside it.
        bus_id: stands in the adapters' transactional ids.
        today: a subscription ends with the day that it is valid until.
    """
    acls = {acl for each in wanted.in_force() if isinstance(each, Dataset) for acl in _of_adapter(each, bus_id)}
    for subscriber, subscription in _active(wanted):
        if not subscription.has_ended(today):
            acls.update(_of_subscriber(subscriber, subscription))
    return acls


def ended_acls(catalogue: InForce, bus_id: str, today: dt.date) -> set[Acl]:
    """What subscriptions gave whose last day is over, without what something else still calls for.

    Args:
        catalogue: of all workspaces.
        bus_id: stands in the adapters' transactional ids.
        today: a subscription ends with the day that it is valid until.
    """
    ended = [each for each in _active(catalogue) if each[1].has_ended(today)]
    gave = {acl for subscriber, subscription in ended for acl in _of_subscriber(subscriber, subscription)}
    return gave - wanted_acls(catalogue, bus_id, today) if gave else gave


def by_principal(acls: Iterable[Acl]) -> Iterator[tuple[str, tuple[Acl, ...]]]:
    """Each principal with its own, in order."""
    for principal, each in groupby(sorted(acls), lambda acl: acl.principal):
        yield principal, tuple(each)


def _active(resources: InForce) -> Iterator[tuple[Subscriber, Subscription]]:
    """The subscriptions that were granted, ended or not, with their subscribers."""
    every = resources.in_force()
    subscribers = {each.name: each for each in every if isinstance(each, Subscriber)}
    for each in every:
        if isinstance(each, Subscription) and resources.state_of(each) == ACTIVE:
            subscriber = subscribers.get(each.spec.subscriber)
            if subscriber is not None:
                yield subscriber, each


def _principals(resource: Resource) -> Iterator[str]:
    if isinstance(resource, Subscriber):
        yield resource.principal
    if isinstance(resource, Dataset):
        yield adapter_principal(resource.spec.source.config)


def _of_subscriber(subscriber: Subscriber, subscription: Subscription) -> Iterator[Acl]:
    principal = subscriber.principal
    yield Acl(principal, "READ", "topic", view_topic(subscription.spec.view, subscription.spec.revision))
    yield Acl(principal, "READ", "group", subscriber.name)
    yield Acl(principal, "READ", "group", f"{subscriber.name}.", prefixed=True)


def _of_adapter(dataset: Dataset, bus_id: str) -> Iterator[Acl]:
    instance = dataset.spec.source.config
    principal = adapter_principal(instance)
    positions = positions_topic(dataset.spec.department)
    yield Acl(principal, "READ", "topic", raw_topic(dataset.name))  # a snapshot's end looks for keys that were not seen
    yield Acl(principal, "WRITE", "topic", raw_topic(dataset.name))
    yield Acl(principal, "WRITE", "topic", dlq_topic(dataset.name))
    yield Acl(principal, "READ", "topic", positions)
    yield Acl(principal, "WRITE", "topic", positions)
    yield Acl(principal, "READ", "topic", CATALOGUE_TOPIC)
    yield Acl(principal, "WRITE", "transactional_id", f"{bus_id}.adapter.{instance}")
