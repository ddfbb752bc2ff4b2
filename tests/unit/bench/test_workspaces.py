"""The workspaces that the bench makes are valid ones, and its changes are what they promise to be."""

from __future__ import annotations

import datetime as dt
import shutil
from decimal import Decimal
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from fastavro import parse_schema, schemaless_writer

from bus.bench import copies, districts, dumps, flows, quiet
from bus.bench.copies import HERE
from bus.catalogue.codelist import CodeList
from bus.catalogue.dataset import Dataset
from bus.catalogue.entity import Entity
from bus.catalogue.mapping import Mapping
from bus.catalogue.view import View
from bus.catalogue.workspace import Workspace, default_workspace
from bus.pipeline.envelope import envelope_schema
from bus.pipeline.mapping.compiled import compile_mapping
from bus.pipeline.reject import Reject
from bus.wire import view_topic

if TYPE_CHECKING:
    from pathlib import Path

    from bus.bench.copies import Resource
    from bus.bench.flows import Flow

FLOWS = [
    flows.light(),
    flows.demo(),
    flows.rejects(),
    flows.wide(),
    flows.nested(),
    flows.texts(),
    flows.lz4(),
    flows.one_view(),
    flows.district_views(7),
    flows.unmatched_views(12),
]


def workspace(target: Path, resources: list[Resource]) -> Workspace:
    shutil.copytree(default_workspace(), target)
    shutil.copytree(HERE / "workspace", target / "bench")
    copies.write(resources, target / "bench" / "made.yaml")
    return Workspace.load(target)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    target = tmp_path_factory.mktemp("bench") / "workspace"
    return workspace(target, [resource for flow in FLOWS for resource in flow.resources])


def mapped(made: Workspace, flow: Flow, count: int) -> list[object]:
    """What the reference makes of a flow's changes; None of deletions."""
    (mapping,) = [each for each in made.all(Mapping) if each.spec.dataset == flow.dataset]
    (entity,) = [each for each in made.all(Entity) if each.name == flow.entity]
    (dataset,) = [each for each in made.all(Dataset) if each.name == flow.dataset]
    lists = {each.name: each for each in made.all(CodeList)}
    compiled = compile_mapping(mapping, entity, dataset, lists, flow.row)
    assert compiled.broken is None
    return [compiled.apply(event["after"]) if event["after"] else None for _, event in flow.changes(count)]


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.title)
def test_the_changes_of_a_flow_are_of_its_schema_and_nearly_all_can_be_mapped(made: Workspace, flow: Flow) -> None:
    schema = parse_schema(envelope_schema(flow.dataset, flow.row))
    for _, event in flow.changes(50):
        schemaless_writer(BytesIO(), schema, event)

    results = mapped(made, flow, 1_000)

    assert sum(isinstance(each, Reject) for each in results) < 100
    assert sum(isinstance(each, dict) for each in results) > 850


def test_one_record_of_twenty_is_rejected_where_that_is_measured(made: Workspace) -> None:
    results = mapped(made, flows.rejects(), 4_000)

    assert 150 < sum(isinstance(each, Reject) for each in results) < 250


def test_a_wide_record_has_120_fields_and_none_of_them_is_empty(made: Workspace) -> None:
    record = next(each for each in mapped(made, flows.wide(), 10) if isinstance(each, dict))

    assert len(record) == 120
    assert [name for name, value in record.items() if value is None] == []


def test_numbers_and_times_in_texts_are_read_and_none_of_them_is_empty(made: Workspace) -> None:
    record = next(each for each in mapped(made, flows.texts(), 10) if isinstance(each, dict))

    assert [name for name, value in record.items() if value is None] == []
    assert (record["rks"], record["nsr"], record["mj"]) == (0, Decimal("0.00"), 0.0)
    assert record["djsj"] == dt.datetime(2000, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=8)))


@pytest.mark.parametrize(("flow", "taken"), [(flows.district_views(7), 1), (flows.unmatched_views(12), 0)])
def test_each_record_is_for_as_many_views_as_the_title_says(made: Workspace, flow: Flow, taken: int) -> None:
    views = [view for view in made.all(View) if view.spec.entity == flow.entity]
    assert {view_topic(view.name, view.spec.revision) for view in views} == set(flow.views)

    chosen = [view.spec.filter.model_dump()["eq"] for view in views if view.spec.filter is not None]

    assert len(chosen) == len(set(chosen)) == len(flow.views)
    for each in mapped(made, flow, 500):
        if isinstance(each, dict):
            assert chosen.count(each["division_code"]) == taken


def test_everybody_lives_in_one_of_the_districts_and_stays_there() -> None:
    homes: dict[bytes, set[str]] = {}
    for key, event in flows.district_views(100).changes(25_000):
        homes.setdefault(key, set()).add((event["after"] or event["before"])["xzqhdm"])

    assert {home for each in homes.values() for home in each} == {districts.code(number) for number in range(100)}
    assert all(len(each) == 1 for each in homes.values())


def test_quiet_datasets_are_mapped_each_to_an_entity_of_its_own(tmp_path: Path) -> None:
    made = workspace(tmp_path / "made", [*quiet.resources(12), dumps.resource()])

    found = {each.spec.dataset: each.spec.entity for each in made.all(Mapping)}

    for number in range(12):
        assert found[quiet.name(number).dataset] == quiet.name(number).entity
    assert {each.spec.partitions for each in made.all(Dataset) if "quiet" in each.name} == {1}
