"""A view shows fields that are there, its key among them; masks hide texts; filters are of the fields' types."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING

from bus.catalogue.avro_type import AvroType, field_types
from bus.catalogue.checks.entities import schema_fault
from bus.catalogue.dataset import Dataset
from bus.catalogue.entity import Entity
from bus.catalogue.mapping import Mapping
from bus.catalogue.predicate import compile_predicate
from bus.catalogue.subscription import Subscription
from bus.catalogue.view import View
from bus.errors import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bus.catalogue.workspace import Workspace


def check(workspace: Workspace) -> Iterator[Finding]:
    """All that is wrong with views, and a warning for equal ones."""
    entities = workspace.named(Entity)
    for view in workspace.all(View):
        entity = entities.get(view.spec.entity)
        if entity is not None and not schema_fault(entity.spec.avro):
            types = field_types(entity.spec.avro)
            yield from _fields(workspace, view, entity, types)
            yield from _masks(workspace, view, types)
            yield from _pseudonyms(workspace, view, entity, types)
            yield from _filter(workspace, view, types)
    first: dict[str, View] = {}
    for view in workspace.all(View):
        one = first.setdefault(_shows(view), view)
        if one.name != view.name:
            yield Finding(
                f"view {view.name} shows the same as view {one.name}",
                workspace.where(view, "metadata", "name"),
                "subscribers of one view share its topic: let them name the same one",
                Severity.WARNING,
            )
    yield from _not_shared(workspace)


def _shows(view: View) -> str:
    """The same for views that show the same."""
    return json.dumps(view.spec.model_dump(mode="json", exclude={"revision"}), sort_keys=True)


def _fields(workspace: Workspace, view: View, entity: Entity, types: dict[str, AvroType]) -> Iterator[Finding]:
    for index, name in enumerate(view.spec.fields):
        if name not in types:
            close = difflib.get_close_matches(name, types, n=1)
            yield Finding(
                f"entity {entity.name} has no field {name!r}",
                workspace.where(view, "spec", "fields", index),
                f"did you mean {close[0]!r}?" if close else "",
            )
    missing = [name for name in entity.spec.key if name not in view.spec.fields]
    if missing:
        yield Finding(
            f"key field {', '.join(missing)} is not shown",
            workspace.where(view, "spec", "fields"),
            "a view's fields include the entity's key",
        )


def _masks(workspace: Workspace, view: View, types: dict[str, AvroType]) -> Iterator[Finding]:
    for name in view.spec.masks:
        where = workspace.where(view, "spec", "masks", name)
        if name not in view.spec.fields:
            yield Finding(f"masked field {name!r} is not shown", where, "leave the mask out, or show the field")
        elif name in types and types[name].name != "string":
            yield Finding(f"field {name!r} is {types[name].name}: only strings can be masked", where)


def _pseudonyms(workspace: Workspace, view: View, entity: Entity, types: dict[str, AvroType]) -> Iterator[Finding]:
    for name in view.spec.pseudonyms:
        where = workspace.where(view, "spec", "pseudonyms", name)
        if name not in view.spec.fields:
            yield Finding(f"pseudonymised field {name!r} is not shown", where, "leave it out, or show the field")
        elif name in types and types[name].name != "string":
            yield Finding(f"field {name!r} is {types[name].name}: only strings can be pseudonymised", where)
        elif name in view.spec.masks:
            yield Finding(f"field {name!r} is masked as well", where, "choose one")
    for name in sorted(view.spec.masks.keys() & set(entity.spec.key)):
        yield Finding(
            f"key field {name!r} is masked, but the key of every record shows it",
            workspace.where(view, "spec", "masks", name),
            f"hide it in both by a pseudonym: `pseudonyms: {{{name}: <name of a secret key>}}`",
        )
    if view.spec.pseudonyms:
        yield from _one_subscriber(workspace, view)


def _one_subscriber(workspace: Workspace, view: View) -> Iterator[Finding]:
    """Two who compare what they got could otherwise put it together."""
    takers = [
        subscription
        for subscription in workspace.all(Subscription)
        if (subscription.spec.view, subscription.spec.revision) == (view.name, view.spec.revision)
        and not subscription.spec.withdrawn
    ]
    for other in takers[1:]:
        if other.spec.subscriber != takers[0].spec.subscriber:
            yield Finding(
                f"view {view.name} shows pseudonyms, and two subscribers take it, {takers[0].spec.subscriber} and"
                f" {other.spec.subscriber}: what they got could be put together",
                workspace.where(other, "spec", "view"),
                "make a view for one of them, with a secret key of its own",
            )


def _filter(workspace: Workspace, view: View, types: dict[str, AvroType]) -> Iterator[Finding]:
    if view.spec.filter is not None:
        try:
            compile_predicate(view.spec.filter, types)
        except ValueError as error:
            yield Finding(f"filter: {error}", workspace.where(view, "spec", "filter"))


def _not_shared(workspace: Workspace) -> Iterator[Finding]:
    datasets = workspace.named(Dataset)
    views = {(view.name, view.spec.revision): view for view in workspace.all(View)}
    for subscription in workspace.all(Subscription):
        view = views.get((subscription.spec.view, subscription.spec.revision))
        for mapping in workspace.all(Mapping):
            dataset = datasets.get(mapping.spec.dataset)
            if view is None or dataset is None or mapping.spec.entity != view.spec.entity:
                continue
            if dataset.spec.share.type == "none" and not subscription.spec.withdrawn:
                yield Finding(
                    f"view {view.name} shows dataset {dataset.name}, which is not shared",
                    workspace.where(subscription, "spec", "view"),
                    f"its owner decides at {workspace.where(dataset, 'spec', 'share')}",
                )
