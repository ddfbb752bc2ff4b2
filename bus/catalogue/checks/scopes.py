"""One dataset per entity key (一数一源): several datasets feed one entity only with disjoint scopes."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from bus.catalogue.avro_type import AvroType, field_types
from bus.catalogue.checks.entities import schema_fault
from bus.catalogue.dataset import Dataset
from bus.catalogue.disjoint import disjoint
from bus.catalogue.entity import Entity
from bus.catalogue.mapping import Mapping
from bus.catalogue.predicate import Predicate, compile_predicate
from bus.errors import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bus.catalogue.workspace import Workspace


def entity_scope(mapping: Mapping, dataset: Dataset, entity: Entity) -> Predicate | None:
    """The dataset's scope in the entity's words; None if it has none, or if its fields are no key fields."""
    scope = dataset.spec.scope
    names = {
        rule.sources[0]: name
        for name, rule in mapping.spec.fields.items()
        if name in entity.spec.key and len(rule.sources) == 1
    }
    if scope is None or not scope.fields <= names.keys():
        return None
    return scope.renamed(names)


def check(workspace: Workspace) -> Iterator[Finding]:
    """Scopes over other than key fields, scopes of the wrong type, scopes that overlap."""
    datasets, entities = workspace.named(Dataset), workspace.named(Entity)
    for dataset in datasets.values():
        yield from _only_key_fields(workspace, dataset)
    feeding: dict[str, list[tuple[Mapping, Dataset]]] = {}
    for mapping in workspace.all(Mapping):
        dataset_or_none = datasets.get(mapping.spec.dataset)
        if dataset_or_none is not None and mapping.spec.entity in entities:
            feeding.setdefault(mapping.spec.entity, []).append((mapping, dataset_or_none))
    for name, pairs in feeding.items():
        entity = entities[name]
        if not schema_fault(entity.spec.avro):
            types = field_types(entity.spec.avro)
            faults = [finding for pair in pairs for finding in _type_faults(workspace, *pair, entity, types)]
            yield from faults
            for one, other in combinations(pairs if not faults else (), 2):
                yield from _overlap(workspace, one, other, entity, types)


def _only_key_fields(workspace: Workspace, dataset: Dataset) -> Iterator[Finding]:
    others = sorted(dataset.spec.scope.fields - set(dataset.spec.key)) if dataset.spec.scope else []
    if others:
        yield Finding(
            f"the scope reads {', '.join(others)}, which the key does not hold",
            workspace.where(dataset, "spec", "scope"),
            f"a scope is over key fields: {', '.join(dataset.spec.key)}",
        )


def _type_faults(
    workspace: Workspace, mapping: Mapping, dataset: Dataset, entity: Entity, types: dict[str, AvroType]
) -> Iterator[Finding]:
    scope = entity_scope(mapping, dataset, entity)
    if scope is not None:
        try:
            compile_predicate(scope, types)
        except ValueError as error:
            yield Finding(f"scope: {error}", workspace.where(dataset, "spec", "scope"))


def _overlap(
    workspace: Workspace,
    one: tuple[Mapping, Dataset],
    other: tuple[Mapping, Dataset],
    entity: Entity,
    types: dict[str, AvroType],
) -> Iterator[Finding]:
    where = workspace.where(other[0], "spec", "dataset")
    if one[1].name == other[1].name:
        yield Finding(
            f"two mappings from {one[1].name} to {entity.name}",
            where,
            f"the other one is at {workspace.where(one[0], 'spec', 'dataset')}: keep one of them",
        )
        return
    scopes = [entity_scope(*pair, entity) for pair in (one, other)]
    if scopes[0] is None or scopes[1] is None or not disjoint(scopes[0], scopes[1], types):
        yield Finding(
            f"{one[1].name} and {other[1].name} may claim the same keys of {entity.name}",
            where,
            f"give both datasets a `scope` over key fields that cannot overlap "
            f"({workspace.where(one[1], 'spec')}, {workspace.where(other[1], 'spec')})",
        )
