"""A mapping's rules fit the dataset that they read and the entity that they make."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from bus.catalogue.avro_type import AvroType, field_types, literal
from bus.catalogue.checks.entities import schema_fault
from bus.catalogue.dataset import Dataset
from bus.catalogue.entity import Entity
from bus.catalogue.mapping import FieldRule, Mapping
from bus.catalogue.pattern import pattern_fault
from bus.errors import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bus.catalogue.workspace import Workspace

RESULTS = {
    "date": frozenset({"date"}),
    "timestamp": frozenset({"timestamp"}),
    "codes": frozenset({"string", "enum"}),
    "check": frozenset({"string"}),
    "integer": frozenset({"int", "long"}),
    "decimal": frozenset({"decimal"}),
    "float": frozenset({"float", "double"}),
}


def check(workspace: Workspace) -> Iterator[Finding]:
    """Fields that are not there, rules that make another type, entity fields that nothing makes."""
    datasets, entities = workspace.named(Dataset), workspace.named(Entity)
    for mapping in workspace.all(Mapping):
        yield from _patterns(workspace, mapping)
        if (dataset := datasets.get(mapping.spec.dataset)) is not None:
            yield from _source_fields(workspace, mapping, dataset)
        entity = entities.get(mapping.spec.entity)
        if entity is not None and not schema_fault(entity.spec.avro):
            yield from _target_fields(workspace, mapping, field_types(entity.spec.avro))


def _patterns(workspace: Workspace, mapping: Mapping) -> Iterator[Finding]:
    for name, rule in mapping.spec.fields.items():
        if rule.pattern is not None and (fault := pattern_fault(rule.pattern)):
            yield Finding(
                f"field {name!r}: the pattern {fault}: some texts would keep the worker busy for ever",
                workspace.where(mapping, "spec", "fields", name, "pattern"),
                "give each repeat a small bound ({1,20}); write what is repeated as one class of characters ([a-z])",
            )


def _source_fields(workspace: Workspace, mapping: Mapping, dataset: Dataset) -> Iterator[Finding]:
    known = dataset.spec.fields
    for target, rule in mapping.spec.fields.items():
        for source in rule.sources:
            if known and source not in known:
                close = difflib.get_close_matches(source, known, n=1)
                yield Finding(
                    f"dataset {dataset.name} has no field {source!r}",
                    workspace.where(mapping, "spec", "fields", target, "from"),
                    f"did you mean {close[0]!r}?" if close else f"it has {', '.join(known)}",
                )


def _target_fields(workspace: Workspace, mapping: Mapping, types: dict[str, AvroType]) -> Iterator[Finding]:
    rules = mapping.spec.fields
    for name, rule in rules.items():
        where = workspace.where(mapping, "spec", "fields", name)
        if name not in types:
            close = difflib.get_close_matches(name, types, n=1)
            yield Finding(
                f"entity {mapping.spec.entity} has no field {name!r}",
                where,
                f"did you mean {close[0]!r}?" if close else "",
            )
            continue
        for fault in _type_faults(rule, types[name]):
            yield Finding(f"field {name!r}: {fault}", where)
    missing = [name for name, declared in types.items() if name not in rules and not declared.has_default]
    if missing:
        yield Finding(
            f"nothing makes {', '.join(missing)}, and the entity's schema has no default for it",
            workspace.where(mapping, "spec", "fields"),
        )
    yield from _cross_rules(workspace, mapping, types)


def _type_faults(rule: FieldRule, declared: AvroType) -> Iterator[str]:
    results = {
        "date": bool(rule.date),
        "timestamp": rule.timestamp is not None,
        "codes": rule.codes is not None,
        "check": rule.check is not None,
    }
    names = [name for name, given in results.items() if given] + ([rule.number.type] if rule.number else [])
    for name in names:
        if declared.name not in RESULTS[name]:
            yield f"`{name}` does not make a value of type {declared.name}"
    for word in ("const", "default"):
        if (value := getattr(rule, word)) is not None:
            try:
                literal(value, declared)
            except ValueError as error:
                yield f"`{word}`: {error}"


def _cross_rules(workspace: Workspace, mapping: Mapping, types: dict[str, AvroType]) -> Iterator[Finding]:
    for index, rule in enumerate(mapping.spec.rules):
        for name in rule.fields:
            wanted = "date" if name == rule.birth_date else "string"
            where = workspace.where(mapping, "spec", "rules", index)
            if name not in mapping.spec.fields:
                yield Finding(f"rule {rule.rule} reads {name!r}, which the mapping does not make", where)
            elif name in types and types[name].name != wanted:
                yield Finding(f"rule {rule.rule} needs {name!r} to be {wanted}, it is {types[name].name}", where)
