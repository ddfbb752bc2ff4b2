"""What `plan` and `validate` note of what is not compiled."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bus.catalogue.cluster_state import ClusterState, SubjectState
from bus.catalogue.plan import plan
from bus.catalogue.plan_text import plan_lines
from bus.pipeline.envelope import envelope_schema
from bus.wire import raw_topic, subject

if TYPE_CHECKING:
    from bus.catalogue.workspace import Workspace
    from tests.unit.catalogue.conftest import Bus, Folder

DATASET = "gongan/population.yaml"
PERSON = "population/person.yaml"
AVSC = "population/person.avsc"
PORTAL = "portal/portal.yaml"


def flowed(workspace: Workspace, **types: Any) -> ClusterState:
    """A cluster on which the population register's changes have a schema: texts and a time, but for some fields."""
    types = {"gxsj": {"type": "long", "logicalType": "timestamp-micros"}} | types
    [mapping] = workspace.resources["Mapping"].values()
    names = {"sfzh", *types, *(name for rule in mapping.spec.fields.values() for name in rule.sources)}  # type: ignore[attr-defined]
    fields = [{"name": name, "type": types.get(name, ["null", "string"])} for name in sorted(names)]
    schema = envelope_schema("gongan.population", {"type": "record", "name": "r", "fields": fields})
    return ClusterState(subjects={subject(raw_topic("gongan.population")): SubjectState((schema,))})


def test_nothing_is_told_of_a_mapping_before_its_datasets_schema_is_known(folder: Folder) -> None:
    folder.replace(DATASET, "key: [sfzh]", "key: [sfzh]\n  scope: {field: sfzh, prefix: '3205'}")
    assert plan(folder.load(), ClusterState()).by_reference == ()


def test_a_union_of_several_types_in_the_source_is_told_with_the_reason(folder: Folder) -> None:
    workspace = folder.load()
    made = plan(workspace, flowed(workspace, other=["null", "string", "long"]))

    [note] = made.by_reference
    assert (note.kind, note.fields, note.reason) == ("mapping", (), "a union of several types")
    assert not made.findings, "it costs only speed"
    assert str(note) in list(plan_lines(made))
    assert str(note).endswith(
        f"note: mapping {note.name}: it goes through the reference, not the compiled code: a union of several types"
    )
    assert made.json()["by_reference"] == [note.json()]


def test_a_scope_that_only_the_reference_can_try_is_told(folder: Folder) -> None:
    folder.replace(DATASET, "key: [sfzh]", "key: [sfzh]\n  scope: {field: sfzh, prefix: '3205'}")
    workspace = folder.load()
    assert plan(workspace, flowed(workspace, sfzh="string")).by_reference == ()

    [note] = plan(workspace, flowed(workspace, sfzh="long")).by_reference
    assert (note.kind, note.reason) == ("mapping", "a predicate over a field of type long")


def test_fields_of_a_mapping_that_call_the_reference_for_each_record_are_told(folder: Folder) -> None:
    workspace = folder.load()
    assert plan(workspace, flowed(workspace)).by_reference == ()

    folder.replace(DATASET, "updated_at: {from: gxsj}", "updated_at: {from: gxsj, timestamp: {formats: [YYYY-MM-DD]}}")
    workspace = folder.load()
    assert plan(workspace, flowed(workspace, gxsj=["null", "string"])).by_reference == ()

    folder.replace(DATASET, "formats: [YYYY-MM-DD]", "formats: [YYYYMD]")
    workspace = folder.load()
    [note] = plan(workspace, flowed(workspace, gxsj=["null", "string"])).by_reference
    assert note.fields == ("updated_at",), "where the month ends cannot be told from what stands there"
    assert "its fields updated_at go through the reference" in str(note)


def test_a_number_with_a_fraction_is_copied_without_the_reference(folder: Folder) -> None:
    folder.add_field(AVSC, "area", ["null", "double"])
    folder.replace(PERSON, "  fields:\n", "  fields:\n    area: {grade: 1, authority: gongan}\n")
    folder.replace(DATASET, "updated_at: {from: gxsj}", "updated_at: {from: gxsj}\n    area: {from: zp}")
    workspace = folder.load()

    assert plan(workspace, flowed(workspace, zp=["null", "double"])).by_reference == ()
    [note] = plan(workspace, flowed(workspace, zp=["null", "long"])).by_reference
    assert note.fields == ("area",), "that one is made anew"


def test_a_view_is_told_by_validate_too(folder: Folder, bus: Bus) -> None:
    folder.add_field(AVSC, "any", ["null", "string", "long"])
    folder.replace(PERSON, "  fields:\n", "  fields:\n    any: {grade: 1, authority: gongan}\n")

    [note] = plan(folder.load(), ClusterState()).by_reference
    assert (note.kind, note.name, note.reason) == ("view", "portal-person.v1", "a union of several types")
    assert str(note) in bus("validate", folder.path).out.splitlines()
    assert json.loads(bus("validate", folder.path, "--json").out)["by_reference"] == [note.json()]


def test_a_filter_that_only_the_reference_can_try_is_told(folder: Folder) -> None:
    folder.add_field(AVSC, "record", ["null", {"type": "string", "logicalType": "uuid"}])
    folder.replace(PERSON, "  fields:\n", "  fields:\n    record: {grade: 1, authority: gongan}\n")
    assert plan(folder.load(), ClusterState()).by_reference == ()

    one = "12345678-1234-5678-1234-567812345678"
    folder.replace(PORTAL, "  masks:", f"  filter: {{field: record, eq: {one}}}\n  masks:")
    [note] = plan(folder.load(), ClusterState()).by_reference
    assert (note.kind, note.name, note.reason) == (
        "view",
        "portal-person.v1",
        "a predicate over a field of type uuid",
    )
