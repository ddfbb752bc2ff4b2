"""Schemas to register, and compatibility levels: shared and view subjects FULL_TRANSITIVE, raw NONE (design §1)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bus.catalogue.actions import RegisterSchema, SetCompatibility
from bus.catalogue.dataset import Dataset
from bus.catalogue.entity import Entity
from bus.errors import Finding
from bus.pipeline.mapping.mask import view_schema
from bus.registry.avro import read_schema
from bus.registry.compatibility import Level, incompatibilities
from bus.registry.faults import RefusedError
from bus.wire import raw_topic, shared_topic, subject, view_topic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bus.catalogue.actions import Action
    from bus.catalogue.cluster_state import ClusterState, SubjectState
    from bus.catalogue.wanted import Wanted


def plan_schemas(wanted: Wanted, state: ClusterState) -> tuple[list[Action], list[Finding]]:
    """Actions and refusals. Raw schemas are the adapter runtime's to register; only their level is set here."""
    actions: list[Action] = []
    findings: list[Finding] = []
    for dataset in wanted.workspace.all(Dataset):
        actions += _level(subject(raw_topic(dataset.name)), Level.NONE, state)
    for name, schema, where in _schemas(wanted):
        actions += _level(name, Level.FULL_TRANSITIVE, state)
        current = state.subjects.get(name)
        if current is not None and schema in current.schemas:
            continue
        faults = _faults(schema, current)
        findings += [Finding(f"schema of {name}: {fault}", where, _FIX) for fault in faults]
        actions.append(RegisterSchema(name, schema, len(current.schemas) + 1 if current else 1))
    return actions, findings


_FIX = (
    "keep the fields that there are, give new ones a default; a change that cannot is a new entity "
    "with a new topic (person_v2)"
)


def _schemas(wanted: Wanted) -> Iterator[tuple[str, dict[str, Any], str]]:
    workspace = wanted.workspace
    entities = workspace.named(Entity)
    for entity in entities.values():
        yield subject(shared_topic(entity.name)), entity.spec.avro, workspace.where(entity, "spec", "schema")
    for view in wanted.views:
        schema = view_schema(entities[view.spec.entity].spec.avro, view)
        yield subject(view_topic(view.name, view.spec.revision)), schema, workspace.where(view, "spec", "fields")


def _level(name: str, level: Level, state: ClusterState) -> list[Action]:
    current = state.subjects.get(name)
    before = current.compatibility if current else None
    return [] if before == level else [SetCompatibility(name, before, str(level))]


def _faults(schema: dict[str, Any], current: SubjectState | None) -> list[str]:
    """Why the registry would not take the schema."""
    try:
        new = read_schema(json.dumps(schema))
        earlier = [(n, read_schema(json.dumps(old))) for n, old in enumerate(current.schemas if current else (), 1)]
        return incompatibilities(Level.FULL_TRANSITIVE, new, earlier)
    except RefusedError as error:
        return [str(error)]
