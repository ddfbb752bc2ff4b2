"""What `apply` writes into `_bus.catalogue` is all that a worker needs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bus.catalogue.actions import PutRecord
from bus.catalogue.catalogue import Catalogue
from bus.catalogue.cluster_state import ClusterState
from bus.catalogue.plan import plan
from bus.catalogue.record import BadCatalogueRecordError, CatalogueRecord
from bus.pipeline.mapping.compiled import compile_mapping
from bus.pipeline.mapping.mask import compile_projection
from bus.pipeline.works import unmappable
from bus.spi import SourceDataset
from bus.testing.workspaces import population_resources


@pytest.fixture
def records() -> dict[str, bytes]:
    made = plan(population_resources(), ClusterState())
    return {action.key: action.record.encode() for action in made.actions if isinstance(action, PutRecord)}


def test_every_resource_comes_back_as_it_was(records: dict[str, bytes]) -> None:
    workspace = population_resources()
    for resources in workspace.resources.values():
        for key, resource in resources.items():
            record = CatalogueRecord.decode(key, records[key])
            assert record.resource == resource
            assert record.digest == resource.digest() == record.resource.digest()
            assert (record.managed_by, record.generation) == ("suzhou", 1)


def test_the_schemas_and_codes_are_inside(records: dict[str, bytes]) -> None:
    assert json.loads(records["Entity/population.person/1"])["resource"]["spec"]["schema"]["name"] == "person"
    assert len(json.loads(records["CodeList/ethnicity"])["resource"]["spec"]["codes"]) == 58


def test_a_worker_compiles_mappings_and_views_from_the_records_alone(records: dict[str, bytes]) -> None:
    catalogue = Catalogue.from_records(records)
    [mapping] = catalogue.mappings_of("gongan.population")
    entity, dataset = catalogue.entities[mapping.spec.entity], catalogue.datasets[mapping.spec.dataset]
    row = {"type": "record", "name": "r", "fields": [{"name": "sfzh", "type": "string"}]}
    compiled = compile_mapping(mapping, entity, dataset, catalogue.codelists, row)
    assert compiled.entity_key(["x"]) == ["x"]
    [view] = catalogue.subscribed_views()
    assert compile_projection(entity.spec.avro, view)[0]["name"] == "portal_person"


def test_a_mapping_that_would_reject_every_row_of_a_source_is_found(records: dict[str, bytes]) -> None:
    catalogue = Catalogue.from_records(records)
    [mapping] = catalogue.mappings_of("gongan.population")
    names = sorted({source for rule in mapping.spec.fields.values() for source in rule.sources} - {"sfzh"})
    nullable = [{"name": name, "type": ["null", "string"], "default": None} for name in names]
    source = SourceDataset("public.people", {"type": "record", "name": "r", "fields": nullable})
    name = catalogue.datasets["gongan.population"].spec.source.name

    assert unmappable(catalogue, "gongan", [source]) == [], "the source does not offer that dataset"
    (finding,) = unmappable(catalogue, "gongan", [replace(source, name=name)])

    assert finding.where == "gongan.population"
    assert finding.message == (
        f"mapping {mapping.name} would reject every row: id_number: the source's rows no longer have sfzh"
    )


def test_datasets_are_found_by_the_adapter_instance_that_publishes_them(records: dict[str, bytes]) -> None:
    catalogue = Catalogue.from_records(records)
    assert [dataset.name for dataset in catalogue.datasets_of("gongan")] == ["gongan.population"]
    assert catalogue.datasets_of("shichang") == []


def test_a_view_without_an_active_subscription_is_not_routed(records: dict[str, bytes]) -> None:
    value = json.loads(records["Subscription/portal-person"])
    value["status"] = {"state": "revoked"}
    records["Subscription/portal-person"] = json.dumps(value).encode()
    assert Catalogue.from_records(records).subscribed_views() == []


@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b'{"resource": {"kind": "Newer"}}'])
def test_a_record_that_cannot_be_read_says_which(value: bytes) -> None:
    with pytest.raises(BadCatalogueRecordError, match="key Dataset/x"):
        Catalogue.from_records({"Dataset/x": value})
