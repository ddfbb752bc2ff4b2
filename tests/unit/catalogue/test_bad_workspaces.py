"""What `bus validate` says to each mistake: the message, file:line, the way out, and the exit code."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.catalogue.conftest import Bus, Folder

DATASET = "gongan/population.yaml"
ENTITY = "population/person.yaml"
AVSC = "population/person.avsc"
PORTAL = "portal/portal.yaml"
DEPARTMENTS = "departments/departments.yaml"
CODELISTS = "codelists/codelists.yaml"


def assert_one_error(bus: Bus, folder: Folder, where: str, message: str, fix: str = "") -> None:
    ended = bus("validate", folder.path)
    assert ended.code == 1
    assert f"{where}: error: {message}" in ended.out
    assert fix in ended.out
    assert "1 error," in ended.out


def test_the_default_workspace_has_no_findings(bus: Bus) -> None:
    ended = bus("validate")
    assert (ended.code, ended.out.count("\n")) == (0, 1)
    assert "0 errors, 0 warnings" in ended.out


def test_an_unknown_key_names_the_nearest_known_one(bus: Bus, folder: Folder) -> None:
    folder.replace(DATASET, "retention: 7d", "retentoin: 7d")
    where = folder.line(DATASET, "retentoin")
    assert_one_error(bus, folder, where, "unknown key 'spec.retentoin'", "did you mean 'retention'?")


def test_an_unknown_key_deep_inside_is_found_where_it_stands(bus: Bus, folder: Folder) -> None:
    folder.replace(DATASET, "required: true, max_length", "require: 1, max_length")
    where = folder.line(DATASET, "require: 1")
    assert_one_error(bus, folder, where, "unknown key 'spec.fields.full_name.require'", "did you mean 'required'?")


def test_a_wrong_type_is_named_with_its_key(bus: Bus, folder: Folder) -> None:
    folder.replace(DATASET, "partitions: 4", "partitions: four")
    where = folder.line(DATASET, "partitions: four")
    assert_one_error(bus, folder, where, "spec.partitions: input should be a valid integer")


def test_a_number_where_a_code_must_stand_is_to_be_quoted(bus: Bus, folder: Folder) -> None:
    folder.replace(DEPARTMENTS, 'division: "320500"', "division: 320500")
    where = folder.line(DEPARTMENTS, "division: 320500")
    assert_one_error(bus, folder, where, "spec.division: input should be a valid string", "put it in quotes")


def test_a_missing_key_is_named(bus: Bus, folder: Folder) -> None:
    folder.replace(DATASET, "  share: {type: unconditional}\n", "")
    assert_one_error(bus, folder, folder.line(DATASET, "spec:"), "'spec.share' is missing")


def test_an_unknown_kind_names_the_nearest_known_one(bus: Bus, folder: Folder) -> None:
    folder.add("more.yaml", "kind: Departement\nmetadata: {name: x}\n")
    assert_one_error(bus, folder, f"{folder.path}/more.yaml:1", "there is no kind 'Departement'", "'Department'")


@pytest.mark.parametrize(
    ("file", "old", "new", "message", "fix"),
    [
        (
            DATASET,
            "dataset: gongan.population",
            "dataset: gongan.populatoin",
            "there is no Dataset",
            "gongan.population",
        ),
        (DATASET, "entity: population.person", "entity: population.persons", "there is no Entity", "population.person"),
        (DATASET, "list: ethnicity", "list: etnicity", "there is no CodeList 'etnicity'", "ethnicity"),
        (DATASET, "department: gongan", "department: gongann", "there is no Department 'gongann'", "gongan"),
        (PORTAL, "subscriber: portal", "subscriber: portall", "there is no Subscriber 'portall'", "portal"),
        (PORTAL, "view: portal-person", "view: portal-persn", "there is no View 'portal-persn'", "portal-person"),
        (ENTITY, "authority: gongan, item: RK0001", "authority: gonga", "there is no Department 'gonga'", "gongan"),
    ],
)
def test_a_dangling_reference_names_the_nearest_name(  # noqa: PLR0913, PLR0917  (one row of the table)
    bus: Bus, folder: Folder, file: str, old: str, new: str, message: str, fix: str
) -> None:
    folder.replace(file, old, new)
    ended = bus("validate", folder.path)
    assert ended.code == 1
    assert f"{folder.line(file, new)}: error: {message}" in ended.out
    assert f"did you mean '{fix}'?" in ended.out


def test_a_revision_that_the_view_does_not_have(bus: Bus, folder: Folder) -> None:
    folder.replace(PORTAL, "view: portal-person\n  revision: 1", "view: portal-person\n  revision: 3")
    where = folder.line(PORTAL, "revision: 3")
    assert_one_error(bus, folder, where, "view 'portal-person' has no revision 3", "there is 1")


def test_a_duplicate_name_points_to_both_places(bus: Bus, folder: Folder) -> None:
    folder.add("zz.yaml", "kind: Subscriber\nmetadata: {name: portal}\nspec: {department: zwfw}\n")
    first = folder.line(PORTAL, "metadata: {name: portal,")
    assert_one_error(bus, folder, f"{folder.path}/zz.yaml:2", "Subscriber portal is there twice", first)


def test_an_entity_key_that_is_cleaned_on_the_way_is_refused(bus: Bus, folder: Folder) -> None:
    folder.replace(DATASET, "{from: sfzh, check: gb11643}", "{from: sfzh, steps: [upper], check: gb11643}")
    where = folder.line(DATASET, "id_number: {from")
    assert_one_error(bus, folder, where, "key field 'id_number' is not a plain copy", "clean the key at the source")


def test_an_entity_key_from_a_field_outside_the_raw_key_is_refused(bus: Bus, folder: Folder) -> None:
    folder.replace(DATASET, "id_number: {from: sfzh", "id_number: {from: lxdh")
    ended = bus("validate", folder.path)
    where = folder.line(DATASET, "id_number: {from")
    assert f"{where}: error: key field 'id_number' comes from 'lxdh', which is not in the key" in ended.out
    assert ended.code == 1


def test_a_raw_key_field_that_the_entity_key_leaves_out_is_refused(bus: Bus, folder: Folder) -> None:
    folder.replace(DATASET, "key: [sfzh]", "key: [sfzh, xzqhdm]")
    ended = bus("validate", folder.path)
    assert "error: key field xzqhdm of gongan.population is not in the key of population.person" in ended.out
    assert ended.code == 1


SECOND = """\
kind: Dataset
metadata: {name: gongan.migrants}
spec:
  department: gongan
  source: {adapter: postgres, config: gongan, name: public.migrants}
  key: [zjhm]
  share: {type: unconditional}
  update: {within: 1h}
---
kind: Mapping
metadata: {name: gongan-migrants}
spec:
  dataset: gongan.migrants
  entity: population.person
  revision: 1
  golden: population.golden.yaml
  fields:
    id_number: {from: zjhm, check: gb11643}
    full_name: {from: xm}
    sex: {const: "9"}
    birth_date: {from: csrq, date: YYYYMMDD}
    division_code: {const: "320505"}
    updated_at: {from: gxsj}
"""
SECOND_DATASET = SECOND.partition("---")[0]


def test_two_datasets_that_claim_the_same_keys_are_refused(bus: Bus, folder: Folder) -> None:
    folder.add("gongan/second.yaml", SECOND)
    ended = bus("validate", folder.path)
    assert ended.code == 1
    assert "gongan.migrants and gongan.population may claim the same keys of population.person" in ended.out
    assert "give both datasets a `scope`" in ended.out
    assert f"{folder.path}/{DATASET}:" in ended.out.split("error:")[0]


def test_two_datasets_with_disjoint_scopes_are_taken(bus: Bus, folder: Folder) -> None:
    scoped = SECOND.replace("  key: [zjhm]\n", '  key: [zjhm]\n  scope: {not: {field: zjhm, prefix: "3205"}}\n')
    folder.add("gongan/second.yaml", scoped)
    folder.replace(DATASET, "  key: [sfzh]\n", '  key: [sfzh]\n  scope: {field: sfzh, prefix: "320508"}\n')
    assert bus("validate", folder.path).code == 0


def test_a_scope_over_a_field_outside_the_key_is_refused(bus: Bus, folder: Folder) -> None:
    folder.replace(DATASET, "  key: [sfzh]\n", '  key: [sfzh]\n  scope: {field: xzqhdm, prefix: "3205"}\n')
    where = folder.line(DATASET, "scope:")
    assert_one_error(bus, folder, where, "the scope reads xzqhdm, which the key does not hold", "key fields: sfzh")


def test_a_mapping_of_a_field_that_the_source_does_not_have(bus: Bus, folder: Folder) -> None:
    folder.replace(DATASET, "{from: hjdz", "{from: hjdzz")
    where = folder.line(DATASET, "hjdzz")
    assert_one_error(bus, folder, where, "dataset gongan.population has no field 'hjdzz'", "did you mean 'hjdz'?")


def test_a_mapping_to_a_field_that_the_entity_does_not_have(bus: Bus, folder: Folder) -> None:
    folder.replace(DATASET, "    ethnicity: {from", "    etnicity: {from")
    where = folder.line(DATASET, "etnicity")
    assert_one_error(bus, folder, where, "entity population.person has no field 'etnicity'", "'ethnicity'")


def test_an_entity_field_that_nothing_makes(bus: Bus, folder: Folder) -> None:
    folder.replace(DATASET, "    updated_at: {from: gxsj}\n", "")
    ended = bus("validate", folder.path)
    assert "error: nothing makes updated_at, and the entity's schema has no default for it" in ended.out
    assert ended.code == 1


def test_a_rule_that_makes_another_type(bus: Bus, folder: Folder) -> None:
    folder.replace(DATASET, "{from: jzdz, steps: [nfkc, trim]}", "{from: jzdz, date: YYYYMMDD}")
    where = folder.line(DATASET, "{from: jzdz")
    assert_one_error(bus, folder, where, "field 'residence_address': `date` does not make a value of type string")


def test_a_code_that_is_not_in_its_list(bus: Bus, folder: Folder) -> None:
    folder.replace(DATASET, '女: "2"', '女: "3"')
    assert_one_error(
        bus, folder, folder.line(DATASET, '女: "3"'), "code '3' is not in the list sex", "it has 0, 1, 2, 9"
    )


def test_a_default_that_is_not_in_its_list(bus: Bus, folder: Folder) -> None:
    folder.replace(DATASET, 'default: "9"', 'default: "8"')
    assert_one_error(bus, folder, folder.line(DATASET, 'default: "8"'), "default '8' is not in the list sex")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"type": "record"', '"type": "recrd"', "it must be a record"),
        ('"name": "full_name", "type": "string"', '"name": "full_name"', "Record field 'full_name' is missing 'type'"),
    ],
)
def test_a_schema_that_is_not_avro_is_named_by_its_file(
    bus: Bus, folder: Folder, old: str, new: str, message: str
) -> None:
    folder.replace(AVSC, old, new)
    assert_one_error(bus, folder, f"{folder.path / AVSC}:1", f"not an Avro schema: {message}")


def test_an_avro_type_that_does_not_exist_is_found_in_the_schemas_file(bus: Bus, folder: Folder) -> None:
    folder.replace(AVSC, '"name": "full_name", "type": "string"', '"name": "full_name", "type": "strng"')
    assert_one_error(bus, folder, folder.line(AVSC, "strng"), "not an Avro schema: type", "did you mean 'string'?")


@pytest.mark.parametrize(
    ("old", "new", "message", "fix"),
    [
        ("{within: 5m}", "{within: 5 minutes}", "spec.update.within: not a duration", "30s, 5m, 12h, 7d"),
        ("key: [sfzh]", "key: sfzh", "spec.key: input should be a list", "a list: [sfzh]"),
        ("steps: [nfkc, trim]", "steps: [nfkc, trom]", "spec.fields.full_name.steps.1: input should be", "'trim'"),
        ("sfzh, check: gb11643", "sfzh, check: gb11644", "spec.fields.id_number.check: input should be", "'gb11643'"),
        ("revision: 1\n", 'revision: "1"\n', "spec.revision: input should be", "without quotes: 1"),
        ("max_length: 100", "max_length: lots", "spec.fields.full_name.max_length: input", "a whole number"),
        ("required: true, max", "required: sure, max", "spec.fields.full_name.required: input", "true or false"),
    ],
)
def test_a_value_that_cannot_be_taken_comes_with_one_that_can(  # noqa: PLR0913, PLR0917  (one row of the table)
    bus: Bus, folder: Folder, old: str, new: str, message: str, fix: str
) -> None:
    folder.replace(DATASET, old, new)
    assert_one_error(bus, folder, folder.line(DATASET, new.strip()), message, fix)


def test_a_date_with_the_name_of_a_month_is_refused_with_what_there_is(bus: Bus, folder: Folder) -> None:
    folder.replace(DATASET, "date: [YYYYMMDD,", "date: [DD.MMM.YY,")
    ended = bus("validate", folder.path)
    assert "'DD.MMM.YY' is no date format: it needs YYYY" in ended.out
    assert "no names of months" in ended.out


def test_an_unknown_key_of_a_golden_file_is_found_too(bus: Bus, folder: Folder) -> None:
    golden = "gongan/population.golden.yaml"
    folder.replace(golden, "has: {birth_date: 1990-03-07}", "hass: {birth_date: 1990-03-07}")
    assert_one_error(bus, folder, folder.line(golden, "hass"), "unknown key", "did you mean 'has'?")


def test_a_schema_that_is_not_json_is_named_by_its_own_line(bus: Bus, folder: Folder) -> None:
    folder.replace(AVSC, '"namespace": "population",', '"namespace": "population"')
    ended = bus("validate", folder.path)
    assert f"{folder.path}/{AVSC}:5: error: not JSON" in ended.out
    assert ended.code == 1


def test_a_schema_file_that_is_not_there(bus: Bus, folder: Folder) -> None:
    folder.replace(ENTITY, "schema: person.avsc", "schema: persn.avsc")
    ended = bus("validate", folder.path)
    assert f"{folder.line(ENTITY, 'persn')}: error: the file persn.avsc cannot be read" in ended.out


def test_a_csv_line_with_a_column_too_few_is_named_by_its_own_line(bus: Bus, folder: Folder) -> None:
    folder.replace("codelists/sex.csv", "2,女性", "2")
    ended = bus("validate", folder.path)
    assert f"{folder.path}/codelists/sex.csv:4: error: a line needs 2 columns" in ended.out
    assert ended.code == 1


def test_a_code_that_a_csv_holds_twice(bus: Bus, folder: Folder) -> None:
    folder.replace("codelists/sex.csv", "2,女性", "1,女性")
    ended = bus("validate", folder.path)
    assert f"{folder.path}/codelists/sex.csv:4: error: code 1 is there twice, first in line 3" in ended.out


def test_a_mask_on_a_field_that_is_not_a_text(bus: Bus, folder: Folder) -> None:
    folder.replace(PORTAL, "    phone: phone", "    birth_date: all\n    phone: phone")
    where = folder.line(PORTAL, "birth_date: all")
    assert_one_error(bus, folder, where, "field 'birth_date' is date: only strings can be masked")


def test_a_mask_that_does_not_exist(bus: Bus, folder: Folder) -> None:
    folder.replace(PORTAL, "phone: phone", "phone: phon")
    ended = bus("validate", folder.path)
    assert f"{folder.line(PORTAL, 'phone: phon')}: error: spec.masks.phone: no mask is called 'phon'" in ended.out


def test_a_view_field_that_the_entity_lacks(bus: Bus, folder: Folder) -> None:
    folder.replace(PORTAL, "    - division_code", "    - division")
    where = folder.line(PORTAL, "- division")
    assert_one_error(bus, folder, where, "entity population.person has no field 'division'", "'division_code'")


def test_a_view_that_does_not_show_the_key(bus: Bus, folder: Folder) -> None:
    folder.replace(PORTAL, "    - id_number\n", "")
    where = folder.line(PORTAL, "  fields:")
    assert_one_error(bus, folder, where, "key field id_number is not shown", "include the entity's key")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{field: divsion, eq: x}", "filter: there is no field 'divsion'"),
        ("{field: birth_date, eq: 1.5}", "filter: field 'birth_date': expected date"),
        ("{field: division_code, eq: 320500}", "filter: field 'division_code': expected string, found int; put it in"),
        ("{field: birth_date, prefix: '19'}", "filter: field 'birth_date': prefix is for strings, this is date"),
        ("{field: sex, eq: '1', prefix: '1'}", "spec.filter: either `field` with one of eq, in, prefix, range"),
    ],
)
def test_a_filter_that_does_not_fit_the_entity(bus: Bus, folder: Folder, text: str, message: str) -> None:
    folder.replace(PORTAL, "  masks:", f"  filter: {text}\n  masks:")
    ended = bus("validate", folder.path)
    assert f"{folder.line(PORTAL, 'filter:')}: error: {message}" in ended.out
    assert ended.code == 1


def test_equal_views_are_a_warning_only(bus: Bus, folder: Folder) -> None:
    view = (folder.path / PORTAL).read_text("utf-8").split("---")[0].replace("name: portal-person", "name: other")
    folder.add("other.yaml", view)
    ended = bus("validate", folder.path)
    assert "warning: view portal-person shows the same as view other" in ended.out
    assert ended.code == 0


def test_topic_names_that_differ_only_in_dot_and_underscore(bus: Bus, folder: Folder) -> None:
    folder.add("x.yaml", SECOND_DATASET.replace("gongan.migrants", "gongan.population_x"))
    other = SECOND_DATASET.replace("gongan.migrants", "gongan_population.x")
    folder.add("y/x.yaml", other.replace("department: gongan", "department: gongan_population"))
    ended = bus("validate", folder.path)
    assert "topics raw.gongan_population.x and raw.gongan.population_x differ only in '.' and '_'" in ended.out
    assert ended.code == 1


def test_a_name_that_is_too_long_for_a_topic(bus: Bus, folder: Folder) -> None:
    folder.add("x.yaml", SECOND_DATASET.replace("gongan.migrants", "gongan." + "m" * 243))
    ended = bus("validate", folder.path)
    assert f"{folder.path}/x.yaml:2: error: topic name raw.gongan.mmm" in ended.out
    assert "has 254 characters; 1 to 249 are allowed" in ended.out


def test_a_name_that_is_not_ascii(bus: Bus, folder: Folder) -> None:
    folder.replace(PORTAL, "metadata: {name: portal-person, title: 一网通办", "metadata: {name: 门户, title: 一网通办")
    ended = bus("validate", folder.path)
    assert f"{folder.path}/{PORTAL}:2: error: the name '门户' cannot stand in a topic name" in ended.out
    assert "a View's name is <word>" in ended.out


def test_a_credit_code_with_a_wrong_check_digit(bus: Bus, folder: Folder) -> None:
    folder.replace(DEPARTMENTS, "00018C", "00018D")
    ended = bus("validate", folder.path)
    where = folder.line(DEPARTMENTS, "00018D")
    assert f"{where}: error: spec.credit_code: not a unified social credit code" in ended.out


def test_a_dataset_that_is_not_shared_cannot_be_subscribed(bus: Bus, folder: Folder) -> None:
    folder.replace(DATASET, "share: {type: unconditional}", "share: {type: none}")
    where = folder.line(PORTAL, "  view: portal-person")
    assert_one_error(bus, folder, where, "view portal-person shows dataset gongan.population, which is not shared")


def test_broken_yaml_is_named_by_its_line(bus: Bus, folder: Folder) -> None:
    folder.add("broken.yaml", "kind: Department\nmetadata: {name: x\nspec: y\n")
    ended = bus("validate", folder.path)
    assert f"{folder.path}/broken.yaml:3: error: not YAML" in ended.out
    assert ended.code == 1


def test_a_key_that_is_given_twice(bus: Bus, folder: Folder) -> None:
    folder.replace(DATASET, "  partitions: 4\n", "  partitions: 4\n  partitions: 5\n")
    where = folder.line(DATASET, "partitions: 5")
    assert_one_error(bus, folder, where, "key 'partitions' is given twice")


def test_an_alias_is_refused(bus: Bus, folder: Folder) -> None:
    folder.add("a.yaml", "kind: Subscriber\nmetadata: &m {name: x}\nspec: {department: zwfw, contacts: [*m, *m]}\n")
    ended = bus("validate", folder.path)
    assert f"{folder.path}/a.yaml:2: error: anchors and aliases are not used here" in ended.out
    assert ended.code == 1


def test_a_file_that_is_not_utf8_is_named_by_the_line_of_the_first_wrong_byte(bus: Bus, folder: Folder) -> None:
    (folder.path / "gbk.yaml").write_bytes("kind: Department\nmetadata: {title: 公安}\n".encode("gbk"))
    assert_one_error(bus, folder, f"{folder.path}/gbk.yaml:2", "the file is not UTF-8", "save it as UTF-8")


def test_all_findings_come_at_once_in_the_order_of_the_files(bus: Bus, folder: Folder) -> None:
    folder.replace(DATASET, "list: ethnicity", "list: etnicity").replace(
        PORTAL, "    - division_code", "    - division"
    )
    folder.replace(DEPARTMENTS, 'division: "320500"', "division: 320500")
    out = bus("validate", folder.path).out
    places = [out.index(name) for name in ("departments.yaml", "population.yaml", "portal.yaml")]
    assert places == sorted(places)


def test_findings_as_json(bus: Bus, folder: Folder) -> None:
    folder.replace(DATASET, "retention: 7d", "retention: 7days")
    ended = bus("validate", folder.path, "--json")
    finding = json.loads(ended.out)["findings"][0]
    assert (ended.code, finding["severity"]) == (1, "error")
    assert finding["where"] == folder.line(DATASET, "7days")


@pytest.mark.parametrize("content", [None, {}, {"a.yaml": "kind: Department\n"}, {"workspace.yaml": "name: x\n"}])
def test_a_folder_that_is_no_workspace_is_wrong_use(bus: Bus, tmp_path: Path, content: dict[str, str] | None) -> None:
    path = tmp_path / "here"
    if content is not None:
        path.mkdir()
        for name, text in content.items():
            (path / name).write_text(text)
    ended = bus("validate", path)
    assert ended.code == 2
    assert "That folder is not a workspace" in ended.err
    assert str(path) in ended.err


def test_the_schema_of_an_unknown_kind_is_wrong_use(bus: Bus) -> None:
    ended = bus("validate", "--schema", "Nonsense")
    assert ended.code == 2
    assert "there is no kind 'Nonsense'" in ended.err


def test_the_json_schema_of_every_kind_is_printed(bus: Bus) -> None:
    for kind in ("Department", "Dataset", "Entity", "CodeList", "Mapping", "View", "Subscriber", "Subscription"):
        ended = bus("validate", "--schema", kind)
        schema = json.loads(ended.out)
        assert (ended.code, schema["properties"]["kind"]["const"]) == (0, kind)
        assert schema["additionalProperties"] is False


def test_a_masked_key_field_would_show_in_the_key(bus: Bus, folder: Folder) -> None:
    folder.replace(PORTAL, "    phone: phone", "    id_number: id_number\n    phone: phone")
    where = folder.line(PORTAL, "id_number: id_number")
    message = "key field 'id_number' is masked, but the key of every record shows it"
    assert_one_error(bus, folder, where, message, "by a pseudonym")


def test_a_pseudonym_of_what_is_not_a_text(bus: Bus, folder: Folder) -> None:
    folder.replace(PORTAL, "  masks:", "  pseudonyms: {birth_date: portal}\n  masks:")
    where = folder.line(PORTAL, "pseudonyms:")
    assert_one_error(bus, folder, where, "field 'birth_date' is date: only strings can be pseudonymised")


def test_a_pseudonymised_view_belongs_to_one_subscriber(bus: Bus, folder: Folder) -> None:
    folder.replace(PORTAL, "  masks:", "  pseudonyms: {id_number: portal}\n  masks:")
    subscriber = "kind: Subscriber\nmetadata: {name: other}\nspec: {department: zwfw}\n---\n"
    subscription = (
        "kind: Subscription\nmetadata: {name: other-person}\n"
        "spec: {subscriber: other, view: portal-person, revision: 1, purpose: x, legal_basis: y,"
        " valid_until: 2099-12-31}\n"
    )
    folder.add("portal/other.yaml", subscriber + subscription)
    ended = bus("validate", folder.path)
    assert (
        "view portal-person shows pseudonyms, and two subscribers take it, other and portal: what they got" in ended.out
    )
    assert ended.code == 1


def test_half_a_character_is_named_by_its_line(bus: Bus, folder: Folder) -> None:
    folder.add("half.yaml", 'kind: Subscriber\nmetadata: {name: half, title: "\\ud800"}\nspec: {department: zwfw}\n')
    assert_one_error(
        bus, folder, f"{folder.path}/half.yaml:2", "the text holds half a character", "the character itself"
    )


def test_half_a_character_in_a_key_is_named_by_its_line(bus: Bus, folder: Folder) -> None:
    folder.add("half.yaml", 'kind: Subscriber\n"\\udfff": x\nmetadata: {name: half}\nspec: {department: zwfw}\n')
    assert_one_error(bus, folder, f"{folder.path}/half.yaml:2", "the key holds half a character")


def test_half_a_character_in_a_schema_is_named_with_its_file(bus: Bus, folder: Folder) -> None:
    folder.replace(AVSC, '"name": "full_name"', '"note": "\\ud800", "name": "full_name"')
    ended = bus("validate", folder.path)
    assert ended.code == 1
    assert f"{folder.path / AVSC}:1: error: a text holds half a character" in ended.out


@pytest.mark.parametrize("text", ["[" * 20_000, "[" * 20_000 + "]" * 20_000, "a: " + "[" * 80 + "]" * 80])
def test_yaml_that_is_nested_too_deeply_is_named_with_its_file(bus: Bus, folder: Folder, text: str) -> None:
    folder.add("deep.yaml", text)
    ended = bus("validate", folder.path)
    assert ended.code == 1
    assert f"{folder.path}/deep.yaml:1: error: nested too deeply" in ended.out


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 500 + "]" * 500])
def test_a_schema_that_is_nested_too_deeply_is_named_with_its_file(bus: Bus, folder: Folder, text: str) -> None:
    folder.add(AVSC, text)
    ended = bus("validate", folder.path)
    assert ended.code == 1
    assert f"{folder.path / AVSC}:1: error: nested too deeply" in ended.out


def test_a_filter_that_is_nested_as_deeply_as_allowed_is_read(bus: Bus, folder: Folder) -> None:
    text = "{not: " * 60 + "{field: division_code, eq: '320505'}" + "}" * 60
    folder.replace(PORTAL, "  masks:", f"  filter: {text}\n  masks:")
    assert bus("validate", folder.path).code == 0


def test_an_adapter_whose_name_is_too_long_for_its_login_and_its_slot(bus: Bus, folder: Folder) -> None:
    folder.replace(DATASET, "config: gongan", "config: " + "g" * 260)
    where = folder.line(DATASET, "gggg")
    assert_one_error(bus, folder, where, "spec.source.config: string should have at most 56 characters")


def test_a_subscriber_whose_name_is_too_long_for_its_login(bus: Bus, folder: Folder) -> None:
    name = "s" * 260
    folder.add("long.yaml", f"kind: Subscriber\nmetadata: {{name: {name}}}\nspec: {{department: zwfw}}\n")
    where = f"{folder.path}/long.yaml:2"
    assert_one_error(bus, folder, where, "the name has 260 characters; 128 are allowed")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/dev/zero", "the file /dev/zero cannot be read: it is not a regular file"),
        ("pipe", "the file pipe cannot be read: it is not a regular file"),
        ("large", "the file large cannot be read: it has 16,777,217 bytes; 16,777,216 are allowed"),
        (".", "the file . cannot be read: it is not a regular file"),
        ('"a\\0b"', "cannot be read"),
    ],
)
def test_a_schema_that_is_no_file_of_a_sane_size_is_not_read(bus: Bus, folder: Folder, name: str, message: str) -> None:
    os.mkfifo(folder.path / "population" / "pipe")
    with (folder.path / "population" / "large").open("wb") as file:
        file.truncate(16 * 1024 * 1024 + 1)
    folder.replace(ENTITY, "schema: person.avsc", f"schema: {name}")
    ended = bus("validate", folder.path)
    assert ended.code == 1
    assert f"{folder.line(ENTITY, 'schema: ')}: error: " in ended.out
    assert message in ended.out


def test_a_yaml_file_that_is_too_large_is_not_read(bus: Bus, folder: Folder) -> None:
    with (folder.path / "large.yaml").open("wb") as file:
        file.truncate(16 * 1024 * 1024 + 1)
    ended = bus("validate", folder.path)
    assert f"{folder.path}/large.yaml: error: cannot be read: it has 16,777,217 bytes" in ended.out


def subscription(subscriber: str, view: str, *, until: str = "2099-12-31", more: str = "") -> str:
    return (
        f"---\nkind: Subscription\nmetadata: {{name: {subscriber}-{view}}}\n"
        f"spec: {{subscriber: {subscriber}, view: {view}, revision: 1, purpose: p, legal_basis: b,"
        f" valid_until: {until}{more}}}\n"
    )


HIDING = """\
kind: View
metadata: {name: other}
spec:
  entity: population.person
  revision: 1
  fields: [id_number, sex]
  pseudonyms: {id_number: secret}
"""

FIELDS = ("sex", "birth_date", "ethnicity", "full_name")

TAKEN_BACK = (
    "warning: subscriber portal gets 'id_number' of population.person as a pseudonym in view other.v1 (subscription"
    " portal-other), and {how} in view portal-person.v1 (subscription portal-person): it can tell which belong together"
)


@pytest.mark.parametrize(
    ("its", "told"),
    [
        ("", TAKEN_BACK.format(how="itself")),
        ("  pseudonyms: {id_number: third}\n", TAKEN_BACK.format(how="under another key ('third', not 'secret')")),
        ("  pseudonyms: {id_number: secret}\n", ""),
    ],
    ids=["itself", "under another key", "the same"],
)
def test_a_subscriber_who_could_take_a_pseudonym_back_is_a_warning(
    bus: Bus, folder: Folder, its: str, told: str
) -> None:
    folder.add("other.yaml", HIDING + subscription("portal", "other"))
    folder.replace(PORTAL, "  masks:", f"{its}  masks:")
    ended = bus("validate", folder.path)
    assert told in ended.out
    assert ended.out.count("warning:") == bool(told)
    assert ended.code == 0


@pytest.mark.parametrize("ended", [{"more": ", withdrawn: true"}, {"until": "2020-01-01"}], ids=["withdrawn", "ended"])
def test_what_a_subscriber_no_longer_gets_takes_no_pseudonym_back(
    bus: Bus, folder: Folder, ended: dict[str, str]
) -> None:
    folder.add("other.yaml", HIDING + subscription("portal", "other", **ended))
    assert "as a pseudonym" not in bus("validate", folder.path).out


def test_a_mask_takes_no_pseudonym_back(bus: Bus, folder: Folder) -> None:
    hiding = HIDING.replace("[id_number, sex]", "[id_number, phone]").replace("{id_number: secret}", "{phone: secret}")
    folder.add("other.yaml", hiding + subscription("portal", "other"))
    assert "as a pseudonym" not in bus("validate", folder.path).out, "the portal's phone is masked"


def test_many_views_of_one_subscriber_are_one_warning(bus: Bus, folder: Folder) -> None:
    for number in range(20):
        name = f"other-{number}"
        view = HIDING.replace("name: other}", f"name: {name}}}").replace(
            "[id_number, sex]", f"[id_number, {FIELDS[number % 4]}]"
        )
        folder.add(f"{name}.yaml", view + subscription("portal", name))
    assert bus("validate", folder.path).out.count("as a pseudonym") == 1


def test_two_subscribers_whose_pseudonyms_are_the_same_are_a_warning(bus: Bus, folder: Folder) -> None:
    folder.replace(PORTAL, "  masks:", "  pseudonyms: {id_number: secret}\n  masks:")
    subscriber = "---\nkind: Subscriber\nmetadata: {name: other}\nspec: {department: zwfw}\n"
    folder.add("other.yaml", HIDING + subscriber + subscription("other", "other"))
    ended = bus("validate", folder.path)
    told = "warning: the key 'secret' makes the pseudonyms of two subscribers, other in view other.v1 (subscription"
    assert told in ended.out
    assert "and portal in view portal-person.v1" in ended.out
    assert ended.code == 0
