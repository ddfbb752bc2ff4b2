"""Who may do what: the ACLs that the catalogue's resources call for, and nothing beyond (design §6).

A subscriber reads the topics of the views that it subscribes to, in groups of its own name: `<subscriber>` and
`<subscriber>.…`. An adapter writes the topics of its datasets and its department's positions, under one transactional
id, and reads the catalogue. Kafka lets whoever may READ or WRITE a topic DESCRIBE it too, and whoever may WRITE some
topic use an idempotent producer (KIP-679), so neither is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    from bus.catalogue.wanted import Wanted


def principals_of(resources: Iterable[Resource]) -> set[str]:
    """The principals that resources stand for: subscribers, and the adapters of datasets."""
    return {principal for resource in resources for principal in _principals(resource)}


def wanted_acls(wanted: Wanted, bus_id: str, today: dt.date) -> set[Acl]:
    """Everything that principals may do once the workspace is applied, those of other workspaces too.

    Args:
        wanted: the workspace beside the catalogue.
        bus_id: stands in the adapters' transactional ids.
        today: a subscription ends with the day that it is valid until.
    """
    resources = wanted.in_force()
    subscribers = {each.name: each for each in resources if isinstance(each, Subscriber)}
    acls: set[Acl] = set()
    for resource in resources:
        if isinstance(resource, Dataset):
            acls.update(_of_adapter(resource, bus_id))
        if isinstance(resource, Subscription) and _is_in_force(resource, wanted, today):
            subscriber = subscribers.get(resource.spec.subscriber)
            acls.update(_of_subscriber(subscriber, resource) if subscriber else ())
    return acls


def _is_in_force(subscription: Subscription, wanted: Wanted, today: dt.date) -> bool:
    return wanted.state_of(subscription) == ACTIVE and subscription.spec.valid_until >= today


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
