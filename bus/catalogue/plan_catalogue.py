"""Catalogue records to write and to delete, and the changes that a resource does not allow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bus.catalogue.actions import DeleteRecord, PutRecord
from bus.catalogue.dataset import Dataset
from bus.catalogue.entity import Entity
from bus.catalogue.mapping import Mapping
from bus.catalogue.record import CatalogueRecord
from bus.catalogue.subscription import ACTIVE, Subscription
from bus.catalogue.view import View
from bus.catalogue.wanted import unconditional
from bus.errors import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bus.catalogue.actions import Action
    from bus.catalogue.cluster_state import ClusterState
    from bus.catalogue.model import Resource
    from bus.catalogue.wanted import Wanted

MAX_RECORD_BYTES: Final = 950_000
"""Below Kafka's default `message.max.bytes` of 1 MiB, with room for framing."""


def plan_catalogue(wanted: Wanted, state: ClusterState) -> tuple[list[Action], list[Finding]]:
    """Actions and refusals; only what this workspace applied is deleted."""
    actions: list[Action] = []
    findings: list[Finding] = []
    resources = {key: resource for kind in wanted.workspace.resources.values() for key, resource in kind.items()}
    for key, resource in resources.items():
        record = _record(wanted, resource)
        if record is not None:
            ended = wanted.states.get(key) == ACTIVE and _has_ended(resource, state)
            actions.append(PutRecord(key, record, state.records.get(key), ended))
            findings += _refusals(wanted, resource, record)
    findings += _unenforceable(wanted, state)
    gone = [
        key
        for key, record in sorted(wanted.found.items())
        if record.managed_by == wanted.workspace.name and key not in resources
    ]
    findings += _still_used(wanted, gone)
    actions += [DeleteRecord(key, state.records[key]) for key in gone]
    return actions, findings


def _has_ended(resource: Resource, state: ClusterState) -> bool:
    return isinstance(resource, Subscription) and resource.has_ended(state.today)


def _record(wanted: Wanted, resource: Resource) -> CatalogueRecord | None:
    """The record to write; None if it stands there already."""
    found = wanted.found.get(resource.key)
    status = dict(found.status) if found else {}
    if resource.key in wanted.states:
        status["state"] = wanted.states[resource.key]
    digest = resource.digest()
    name = wanted.workspace.name
    if found and (found.digest, found.managed_by, found.status) == (digest, name, status):
        return None
    return CatalogueRecord(resource, name, found.generation + 1 if found else 1, digest, status)


def _refusals(wanted: Wanted, resource: Resource, record: CatalogueRecord) -> Iterator[Finding]:
    where = wanted.workspace.where(resource, "metadata", "name")
    if (size := len(record.encode())) > MAX_RECORD_BYTES:
        yield Finding(
            f"{resource.key} has {size:,} bytes; a catalogue record holds {MAX_RECORD_BYTES:,}",
            where,
            "leave out codes that no mapping needs, or divide the list",
        )
    found = wanted.found.get(resource.key)
    if found is not None and found.managed_by != wanted.workspace.name:
        yield Finding(
            f"{resource.key} is managed by {found.managed_by}",
            where,
            "remove it here, or there; one of them manages it",
        )
    for old in wanted.found.values():
        if old.resource.kind == resource.kind and old.resource.name == resource.name:
            for what, section, fix in _broken_promises(resource, old.resource):
                yield Finding(
                    f"{what} of {resource.key} changed", wanted.workspace.where(resource, "spec", section), fix
                )


def _broken_promises(new: Resource, old: Resource) -> Iterator[tuple[str, str, str]]:
    """What stands in event ids, topics and keys cannot change; what changed, its key in `spec`, and the way out."""
    same_revision = new.revision_number == old.revision_number
    next_revision = f"a revision is immutable: make revision {(old.revision_number or 0) + 1}"
    if isinstance(new, View) and isinstance(old, View) and same_revision and new.spec != old.spec:
        yield "the content", "revision", next_revision
    if isinstance(new, Mapping) and isinstance(old, Mapping):
        rules, before = (mapping.spec.model_copy(update={"golden": ""}) for mapping in (new, old))
        if (same_revision and rules != before) or new.spec.revision < old.spec.revision:
            yield "the rules", "revision", next_revision
    if isinstance(new, Entity) and isinstance(old, Entity):
        for part in ("key", "nature"):
            if getattr(new.spec, part) != getattr(old.spec, part):
                fix = "an entity's key and nature are fixed: make a new Entity with a new topic (person_v2)"
                yield f"the {part}", part, fix
    if isinstance(new, Dataset) and isinstance(old, Dataset) and new.spec.key != old.spec.key:
        yield "the key", "key", "a published dataset's key is fixed: publish a new Dataset under another name"


def _unenforceable(wanted: Wanted, state: ClusterState) -> Iterator[Finding]:
    """On a cluster without an authorizer everybody reads everything (design §6)."""
    if state.authorizer:
        return
    free = unconditional(wanted.workspace)
    for subscription in wanted.workspace.all(Subscription):
        if wanted.states[subscription.key] == ACTIVE and subscription.key not in free:
            yield Finding(
                f"subscription {subscription.name} is of a conditional share, and the cluster checks no ACLs",
                wanted.workspace.where(subscription, "spec", "view"),
                "use a cluster with an authorizer; without one only unconditional shares are held",
            )


def _still_used(wanted: Wanted, gone: list[str]) -> Iterator[Finding]:
    for key, record in wanted.found.items():
        resource = record.resource
        if not isinstance(resource, Subscription) or key in gone or key in wanted.states:
            continue
        view = f"View/{resource.spec.view}/{resource.spec.revision}"
        if view in gone:
            yield Finding(
                f"{view} is gone from the workspace, and subscription {resource.name} of {record.managed_by} names it",
                key,
                "revoke the subscription first, or keep the view",
            )
