"""What a workspace wants of a cluster, after a look at what others have put into its catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bus.catalogue.dataset import Dataset
from bus.catalogue.mapping import Mapping
from bus.catalogue.record import CatalogueRecord
from bus.catalogue.subscription import ACTIVE, REQUESTED, REVOKED, WITHDRAWN, Subscription
from bus.catalogue.view import View

if TYPE_CHECKING:
    from bus.catalogue.cluster_state import ClusterState
    from bus.catalogue.model import Resource
    from bus.catalogue.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Wanted:
    """A workspace beside the records that are there.

    Attributes:
        workspace: what is wanted.
        found: key → record of the catalogue.
        states: key of a Subscription of the workspace → the state that it will have.
        live: name and revision of the views that an active subscription names, of whoever's.
        views: those of them that are the workspace's; only they get a topic.
    """

    workspace: Workspace
    found: dict[str, CatalogueRecord]
    states: dict[str, str]
    live: frozenset[tuple[str, int]]
    views: tuple[View, ...]

    @classmethod
    def of(cls, workspace: Workspace, state: ClusterState) -> Wanted:
        """Read the catalogue's records and decide the subscriptions' states.

        Raises:
            BadCatalogueRecordError: a record cannot be read.
        """
        found = {key: CatalogueRecord.decode(key, value) for key, value in state.records.items()}
        free = unconditional(workspace)
        states = {
            subscription.key: _state_of(
                subscription, found.get(subscription.key), is_unconditional=subscription.key in free
            )
            for subscription in workspace.all(Subscription)
        }
        live = {
            (subscription.spec.view, subscription.spec.revision)
            for subscription in workspace.all(Subscription)
            if states[subscription.key] == ACTIVE
        }
        live |= {
            (record.resource.spec.view, record.resource.spec.revision)
            for key, record in found.items()
            if isinstance(record.resource, Subscription)
            and key not in states
            and record.managed_by != workspace.name
            and record.status.get("state") == ACTIVE
        }
        views = tuple(view for view in workspace.all(View) if (view.name, view.spec.revision) in live)
        return cls(workspace, found, states, frozenset(live), views)

    def resources(self) -> list[Resource]:
        """The workspace's."""
        return [resource for kind in self.workspace.resources.values() for resource in kind.values()]

    def applied_before(self) -> list[Resource]:
        """What the catalogue holds of this workspace."""
        return [record.resource for record in self.found.values() if record.managed_by == self.workspace.name]

    def in_force(self) -> list[Resource]:
        """What the catalogue will hold: the workspace's, and what others manage."""
        ours = self.resources()
        keys = {resource.key for resource in ours}
        others = [(key, record) for key, record in self.found.items() if record.managed_by != self.workspace.name]
        return ours + [record.resource for key, record in others if key not in keys]

    def state_of(self, subscription: Subscription) -> str:
        """The state that a subscription in force will have, whoever manages it."""
        if subscription.key in self.states:
            return self.states[subscription.key]
        return str(self.found[subscription.key].status.get("state", ""))

    def normalised_before(self) -> set[str]:
        """The datasets whose raw topics workers have read: the catalogue holds mappings of them."""
        resources = (record.resource for record in self.found.values())
        return {resource.spec.dataset for resource in resources if isinstance(resource, Mapping)}

    def routed_before(self) -> set[str]:
        """The entities whose shared topics workers have read: the catalogue holds views of them with a subscriber."""
        served = self.served_before()
        views = (record.resource for record in self.found.values() if isinstance(record.resource, View))
        return {view.spec.entity for view in views if (view.name, view.spec.revision) in served}

    def served_before(self) -> set[tuple[str, int]]:
        """Name and revision of the views that workers fill now: an active subscription of the catalogue names them."""
        return {
            (record.resource.spec.view, record.resource.spec.revision)
            for record in self.found.values()
            if isinstance(record.resource, Subscription) and record.status.get("state") == ACTIVE
        }


def unconditional(workspace: Workspace) -> set[str]:
    """The keys of the subscriptions whose views show only what may be had by everyone who asks."""
    datasets, views = workspace.named(Dataset), workspace.named(View)
    conditional = {
        mapping.spec.entity
        for mapping in workspace.all(Mapping)
        if mapping.spec.dataset in datasets and datasets[mapping.spec.dataset].spec.share.type != "unconditional"
    }
    return {
        subscription.key
        for subscription in workspace.all(Subscription)
        if subscription.spec.view in views and views[subscription.spec.view].spec.entity not in conditional
    }


def _state_of(subscription: Subscription, record: CatalogueRecord | None, *, is_unconditional: bool) -> str:
    """YAML may request and withdraw; it never undoes what the runtime decided, nor stretches what it approved."""
    current = record.status.get("state") if record else None
    if current == REVOKED:
        return REVOKED
    if subscription.spec.withdrawn:
        return WITHDRAWN
    as_approved = record is not None and _demand(record.resource) == _demand(subscription)
    if current is not None and current != WITHDRAWN and as_approved:
        return str(current)
    return ACTIVE if is_unconditional else REQUESTED


def _demand(resource: Resource) -> object:
    """What an approval is about."""
    return resource.spec.model_copy(update={"withdrawn": False}) if isinstance(resource, Subscription) else None
