"""Names that one resource uses for another exist."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from bus.catalogue.codelist import CodeList
from bus.catalogue.dataset import Dataset
from bus.catalogue.department import Department
from bus.catalogue.entity import Entity
from bus.catalogue.mapping import Mapping
from bus.catalogue.subscriber import Subscriber
from bus.catalogue.subscription import Subscription
from bus.catalogue.view import View
from bus.errors import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bus.catalogue.model import Resource
    from bus.catalogue.workspace import Workspace

Reference = tuple["Resource", type["Resource"], str, tuple[str | int, ...]]


def check(workspace: Workspace) -> Iterator[Finding]:
    """Dangling references, each with the nearest name that there is."""
    kinds: tuple[type[Resource], ...] = (CodeList, Dataset, Department, Entity, Subscriber, View)
    names = {kind: set(workspace.named(kind)) for kind in kinds}
    for resource, kind, name, path in _references(workspace):
        if name not in names[kind] and (kind.__name__, name) not in workspace.broken:
            close = difflib.get_close_matches(name, names[kind], n=1, cutoff=0.6)
            fix = f"did you mean {close[0]!r}?" if close else f"add the {kind.__name__}, or name one that is there"
            yield Finding(f"there is no {kind.__name__} {name!r}", workspace.where(resource, *path), fix)
    yield from _department_in_name(workspace)
    yield from _revisions(workspace)


def _references(workspace: Workspace) -> Iterator[Reference]:
    for dataset in workspace.all(Dataset):
        yield dataset, Department, dataset.spec.department, ("spec", "department")
    for entity in workspace.all(Entity):
        for name, field in entity.spec.fields.items():
            yield entity, Department, field.authority, ("spec", "fields", name, "authority")
    for mapping in workspace.all(Mapping):
        yield mapping, Dataset, mapping.spec.dataset, ("spec", "dataset")
        yield mapping, Entity, mapping.spec.entity, ("spec", "entity")
        for name, rule in mapping.spec.fields.items():
            if rule.codes is not None:
                yield mapping, CodeList, rule.codes.list, ("spec", "fields", name, "codes", "list")
    for view in workspace.all(View):
        yield view, Entity, view.spec.entity, ("spec", "entity")
    for subscriber in workspace.all(Subscriber):
        yield subscriber, Department, subscriber.spec.department, ("spec", "department")
    for subscription in workspace.all(Subscription):
        yield subscription, Subscriber, subscription.spec.subscriber, ("spec", "subscriber")
        yield subscription, View, subscription.spec.view, ("spec", "view")


def _department_in_name(workspace: Workspace) -> Iterator[Finding]:
    for dataset in workspace.all(Dataset):
        if dataset.name.partition(".")[0] != dataset.spec.department:
            yield Finding(
                f"dataset {dataset.name!r} belongs to department {dataset.spec.department!r}",
                workspace.where(dataset, "metadata", "name"),
                f"name it {dataset.spec.department}.{dataset.name.partition('.')[2]}",
            )


def _revisions(workspace: Workspace) -> Iterator[Finding]:
    revisions: dict[str, list[int]] = {}
    for view in workspace.all(View):
        revisions.setdefault(view.name, []).append(view.spec.revision)
    for subscription in workspace.all(Subscription):
        spec = subscription.spec
        if spec.view in revisions and spec.revision not in revisions[spec.view]:
            yield Finding(
                f"view {spec.view!r} has no revision {spec.revision}",
                workspace.where(subscription, "spec", "revision"),
                f"there is {', '.join(map(str, sorted(revisions[spec.view])))}",
            )
