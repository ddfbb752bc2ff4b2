"""What `plan` warns of a mapping that does not fit the rows that its dataset has published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bus.catalogue.cluster_state import ClusterState, SubjectState
from bus.catalogue.plan import plan
from bus.catalogue.plan_text import plan_lines
from bus.errors import Severity
from bus.pipeline.envelope import envelope_schema
from bus.wire import raw_topic, subject

if TYPE_CHECKING:
    from bus.catalogue.plan import Plan
    from tests.unit.catalogue.conftest import Folder

COMPANIES = "companies/companies.yaml"
TEXT = ["null", "string"]
TIME = {"type": "long", "logicalType": "timestamp-micros"}


def made_under(folder: Folder, **types: Any) -> Plan:
    """The plan for a cluster to which the companies' adapter has published rows; their columns are these."""
    fields = [{"name": name, "type": declared} for name, declared in types.items()]
    schema = envelope_schema("scjg.companies", {"type": "record", "name": "r", "fields": fields})
    return plan(folder.load(), ClusterState(subjects={subject(raw_topic("scjg.companies")): SubjectState((schema,))}))


COLUMNS: dict[str, Any] = {"tyshxydm": "string", "qymc": TEXT, "clrq": TEXT, "zt": TEXT}


def test_a_misspelt_source_field_is_told_with_its_line(companies: Folder) -> None:
    companies.replace(COMPANIES, "{from: gxsj}", "{from: qymcc}")

    made = made_under(companies, **COLUMNS, gxsj=TIME)

    [finding] = made.findings
    assert finding.severity is Severity.WARNING, "the source may get it later"
    assert finding.where == companies.line(COMPANIES, "qymcc")
    assert finding.message.startswith("field updated_at: the source has no field 'qymcc'; every row is rejected")
    assert finding.fix == "did you mean 'qymc'?"
    assert not made.refusals
    assert made.by_reference == (), "what it costs is no matter then"


def test_a_missing_source_field_that_may_be_empty_rejects_nothing(companies: Folder) -> None:
    companies.replace(COMPANIES, "{from: clrq,", "{from: clrqq,")
    [finding] = made_under(companies, **COLUMNS, gxsj=TIME).findings
    assert finding.message == "field founded: the source has no field 'clrqq'; it stays empty"


def test_a_source_field_of_another_type_is_told_by_the_field_that_it_should_make(companies: Folder) -> None:
    made = made_under(companies, **COLUMNS, gxsj=TEXT)
    [finding] = made.findings
    assert finding.where == companies.line(COMPANIES, "updated_at:")
    expected = "field updated_at: a source field of type string cannot become timestamp; every row is rejected"
    assert finding.message == expected
    assert "Error" not in "\n".join(plan_lines(made)), "no class is named"


def test_rows_that_fit_are_not_spoken_of(companies: Folder) -> None:
    assert made_under(companies, **COLUMNS, gxsj=TIME).findings == ()


def test_a_schema_that_is_none_of_changes_is_not_the_mappings_fault(companies: Folder) -> None:
    foreign = SubjectState(({"type": "record", "name": "other", "fields": []},))
    made = plan(companies.load(), ClusterState(subjects={subject(raw_topic("scjg.companies")): foreign}))
    assert made.findings == ()
    assert "Error" not in "\n".join(plan_lines(made))
