"""`bus mapping test`: rows and what they become, with a readable difference at file:line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.catalogue.conftest import Bus, Folder

GOLDEN = "gongan/population.golden.yaml"
COMPANIES = "companies/companies.yaml"
COMPANIES_GOLDEN = "companies/companies.golden.yaml"


def test_the_examples_of_the_default_workspace_come_out_as_expected(bus: Bus) -> None:
    ended = bus("mapping", "test")
    assert ended.code == 0
    assert "0 differ" in ended.out


def test_every_rule_of_the_population_mapping_has_a_rejected_example(folder: Folder) -> None:
    text = (folder.path / GOLDEN).read_text("utf-8")
    rules = {"gb11643", "required", "max_length", "codes", "date", "pattern"}
    rules |= {"birth_date_agrees_with_id", "sex_agrees_with_id"}
    assert [rule for rule in sorted(rules) if f"rule: {rule}" not in text] == []


def test_a_field_that_came_out_otherwise_is_shown_as_a_difference(bus: Bus, folder: Folder) -> None:
    folder.replace(GOLDEN, "has: {birth_date: 1990-03-07}", "has: {birth_date: 1990-03-08}")
    ended = bus("mapping", "test", folder.path)
    where = folder.line(GOLDEN, "1990-03-08")
    assert ended.code == 1
    assert f"{where}: error: example 'date with hyphens' came out otherwise" in ended.out
    assert "    - birth_date: 1990-03-08\n    + birth_date: 1990-03-07" in ended.out


def test_a_row_that_should_have_been_rejected(bus: Bus, folder: Folder) -> None:
    folder.replace(GOLDEN, 'row: {xb: "3"}', 'row: {xb: "1"}')
    ended = bus("mapping", "test", folder.path)
    assert ended.code == 1
    assert "    - reject: rule codes, field sex\n    + accepted" in ended.out


def test_a_row_that_should_have_been_accepted(bus: Bus, folder: Folder) -> None:
    folder.replace(GOLDEN, "row: {csrq: 1990.3.7}", "row: {csrq: 1990.3.32}")
    ended = bus("mapping", "test", folder.path)
    assert ended.code == 1
    assert "    + rejected: rule date, field birth_date" in ended.out


def test_a_row_rejected_by_another_rule(bus: Bus, folder: Folder) -> None:
    folder.replace(GOLDEN, "row: {xm: null}, reject: {rule: required", "row: {xm: null}, reject: {rule: pattern")
    ended = bus("mapping", "test", folder.path)
    assert "    - reject: rule pattern, field full_name\n    + reject: rule required, field full_name" in ended.out


def test_a_field_that_the_source_does_not_have(bus: Bus, folder: Folder) -> None:
    folder.replace(GOLDEN, "row: {csrq: 1990-03-07}", "row: {csqr: 1990-03-07}")
    ended = bus("mapping", "test", folder.path)
    assert ended.code == 1
    assert "there is no field 'csqr'; did you mean 'csrq'?" in ended.out


def test_a_misspelt_field_of_the_mapping_is_told_from_both_sides(bus: Bus, companies: Folder) -> None:
    companies.replace(COMPANIES, "{from: qymc,", "{from: qymcc,")
    ended = bus("mapping", "test", companies.path)
    where = companies.line(COMPANIES, "qymcc")
    assert ended.code == 1
    assert f"the mapping reads 'qymcc' ({where}), the example has 'qymc'" in ended.out
    assert "did you mean" not in ended.out


@pytest.fixture
def with_capital(companies: Folder) -> Folder:
    """The companies with a decimal, which the mapping copies."""
    decimal = {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}
    companies.add_field("companies/company.avsc", "capital", ["null", decimal])
    companies.replace("companies/company.yaml", "  fields:\n", "  fields:\n    capital: {grade: 1, authority: scjg}\n")
    companies.replace(
        COMPANIES, "    updated_at: {from: gxsj}", "    updated_at: {from: gxsj}\n    capital: {from: zczb}"
    )
    example = '  - {name: capital, row: {zczb: "1234567890.5"}, has: {capital: "1234567890.50"}}\n'
    return companies.replace(COMPANIES_GOLDEN, "examples:\n", f"examples:\n{example}")


def test_a_decimal_is_copied(bus: Bus, with_capital: Folder) -> None:
    with_capital.replace(COMPANIES_GOLDEN, "types: {", 'types: {zczb: "decimal(12, 2)", ')
    with_capital.replace(COMPANIES_GOLDEN, "      updated_at:", "      capital: null\n      updated_at:")
    ended = bus("mapping", "test", with_capital.path)
    assert (ended.code, ended.out) == (0, "mapping scjg-companies: 6 examples, 0 differ\n")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("decimal", "a decimal has a precision and a scale: decimal(10, 2)"),
        ("decimal(2, 4)", "the scale of a decimal is greater than its precision"),
        ("money", "input should be 'string', 'int'"),
    ],
)
def test_a_type_that_there_is_not(bus: Bus, with_capital: Folder, name: str, wrong: str) -> None:
    with_capital.replace(COMPANIES_GOLDEN, "types: {", f'types: {{zczb: "{name}", ')
    ended = bus("mapping", "test", with_capital.path)
    assert ended.code == 1
    assert f"{with_capital.line(COMPANIES_GOLDEN, 'zczb')}: error: types.zczb: {wrong}" in ended.out


def test_an_unknown_key_in_a_golden_file_is_named_by_its_line(bus: Bus, folder: Folder) -> None:
    folder.replace(GOLDEN, "has: {birth_date: 1990-03-07}", "hass: {birth_date: 1990-03-07}")
    ended = bus("mapping", "test", folder.path)
    assert ended.code == 1
    assert f"{folder.line(GOLDEN, 'hass')}: error:" in ended.out


def test_a_golden_file_that_is_not_there(bus: Bus, folder: Folder) -> None:
    (folder.path / GOLDEN).unlink()
    ended = bus("validate", folder.path)
    where = folder.line("gongan/population.yaml", "golden:")
    assert f"{where}: error: golden file population.golden.yaml is not there" in ended.out


def test_results_as_json(bus: Bus) -> None:
    results = json.loads(bus("mapping", "test", "--json").out)
    assert results[0]["mapping"] == "gongan-population"
    assert results[0]["findings"] == []
