from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from pydantic import ValidationError

from bus.catalogue.avro_type import AvroType
from bus.catalogue.disjoint import disjoint
from bus.catalogue.predicate import Predicate, compile_predicate

TYPES = {
    "division": AvroType("string"),
    "age": AvroType("int", nullable=True),
    "birth": AvroType("date"),
    "seen": AvroType("timestamp"),
    "state": AvroType("enum", symbols=("OPEN", "CLOSED")),
}
RECORD = {
    "division": "320508",
    "age": 36,
    "birth": dt.date(1990, 3, 7),
    "seen": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    "state": "OPEN",
}


def holds(record: dict[str, Any] | None = None, /, **test: Any) -> bool:
    return compile_predicate(Predicate.model_validate(test), TYPES)(RECORD if record is None else record)


def test_each_test_of_one_field() -> None:
    assert holds(field="division", eq="320508")
    assert not holds(field="division", eq="320505")
    assert holds(field="division", **{"in": ["320505", "320508"]})
    assert holds(field="division", prefix="3205")
    assert holds(field="age", range={"from": 36, "to": 36})
    assert not holds(field="age", range={"to": 35})
    assert holds(field="state", eq="OPEN")


def test_dates_and_times_are_written_as_iso_texts() -> None:
    assert holds(field="birth", range={"from": "1990-03-07", "to": "1990-03-07"})
    assert holds(field="seen", eq="2026-01-01T08:00:00+08:00")


def test_all_any_and_not() -> None:
    here, adult = {"field": "division", "prefix": "3205"}, {"field": "age", "range": {"from": 18}}
    elsewhere = {"field": "division", "prefix": "3201"}
    assert holds(all=[here, adult])
    assert holds(any=[elsewhere, adult])
    assert not holds(all=[elsewhere, adult])
    assert holds(**{"not": elsewhere})


def test_null_satisfies_no_test_so_its_negation_holds() -> None:
    nothing = {**RECORD, "age": None}
    assert not holds(nothing, field="age", range={"from": 0})
    assert not holds(nothing, field="age", eq=36)
    assert holds(nothing, **{"not": {"field": "age", "eq": 36}})
    assert not holds({}, field="division", prefix="3")


@pytest.mark.parametrize(
    "test",
    [
        {},
        {"field": "age"},
        {"eq": 1},
        {"field": "age", "eq": 1, "in": [1]},
        {"field": "age", "all": [{"field": "age", "eq": 1}]},
        {"all": [], "any": []},
        {"field": "age", "range": {}},
        {"field": "age", "in": []},
    ],
)
def test_what_is_not_exactly_one_test_is_refused(test: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Predicate.model_validate(test)


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ({"field": "age", "eq": "36"}, "field 'age': expected int, found str"),
        ({"field": "age", "eq": True}, "field 'age': expected int, found bool"),
        ({"field": "state", "eq": "SHUT"}, "field 'state': not one of the enum's symbols OPEN, CLOSED"),
        ({"field": "state", "range": {"from": "A"}}, "field 'state': range is for what has an order"),
        ({"field": "seen", "eq": "2026-01-01T08:00:00"}, "field 'seen': expected timestamp"),
        ({"field": "nowhere", "eq": 1}, "there is no field 'nowhere'"),
    ],
)
def test_a_value_that_the_field_cannot_have_is_refused(test: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compile_predicate(Predicate.model_validate(test), TYPES)


def in_(*values: str) -> dict[str, Any]:
    return {"field": "division", "in": list(values)}


def prefix(text: str) -> dict[str, Any]:
    return {"field": "division", "prefix": text}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (prefix("3205"), prefix("3201"), True),
        (prefix("3205"), prefix("32"), False),
        (in_("320505"), in_("320506", "320507"), True),
        (in_("320505"), prefix("3205"), False),
        (in_("310101"), prefix("3205"), True),
        ({"not": prefix("32")}, prefix("3205"), True),
        ({"not": prefix("3205")}, prefix("32"), False),
        ({"field": "age", "range": {"to": 17}}, {"field": "age", "range": {"from": 18}}, True),
        ({"field": "age", "range": {"to": 18}}, {"field": "age", "range": {"from": 18}}, False),
        ({"any": [prefix("31"), prefix("33")]}, prefix("32"), True),
        ({"any": [prefix("31"), prefix("32")]}, prefix("32"), False),
        ({"all": [prefix("32"), {"field": "age", "eq": 1}]}, {"field": "age", "eq": 2}, True),
        ({"field": "age", "eq": 1}, prefix("32"), False),
    ],
)
def test_which_scopes_cannot_overlap(one: dict[str, Any], other: dict[str, Any], expected: bool) -> None:
    left, right = Predicate.model_validate(one), Predicate.model_validate(other)
    assert disjoint(left, right, TYPES) is expected
    assert disjoint(right, left, TYPES) is expected


def test_a_predicate_can_be_said_of_fields_with_other_names() -> None:
    predicate = Predicate.model_validate({"all": [prefix("3205"), {"not": {"field": "age", "eq": 1}}]})
    renamed = predicate.renamed({"division": "xzqhdm", "age": "nl"})
    assert renamed.fields == {"xzqhdm", "nl"}
    assert predicate.fields == {"division", "age"}


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("decimal", "NaN", "not a number"),
        ("decimal", "sNaN", "not a number"),
        ("decimal", "Infinity", "not a number"),
        ("decimal", 1234567890123456.7891, "put it in quotes"),
        ("decimal", "1,000", "expected decimal"),
        ("double", float("nan"), "not a number"),
        ("double", 10**400, "too large a number"),
        ("timestamp", "0001-01-01T00:00:00+08:00", "expected timestamp"),
        ("timestamp", "9999-12-31T23:59:59-08:00", "expected timestamp"),
        ("timestamp", "2026-01-01T00:00:00", "with its offset"),
    ],
)
def test_a_value_that_the_type_does_not_have_is_told(name: str, value: Any, told: str) -> None:
    predicate = Predicate.model_validate({"field": "one", "range": {"from": value}})
    with pytest.raises(ValueError, match=told):
        compile_predicate(predicate, {"one": AvroType(name)})
