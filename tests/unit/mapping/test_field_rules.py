"""One rule at a time: what goes in, what comes out, what is rejected and with which words."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from bus.pipeline.reject import Reject
from tests.unit.mapping.conftest import DATE, MOMENT, TEXT

if TYPE_CHECKING:
    from tests.unit.mapping.conftest import OneField

BEIJING = dt.timezone(dt.timedelta(hours=8))


def out(one_field: OneField, rule: dict[str, Any], value: Any, source: Any = TEXT, target: Any = TEXT) -> Any:
    result = one_field({"from": "in", **rule}, source, target).apply({"id": "k", "in": value})
    return result if isinstance(result, Reject) else result["out"]


@pytest.mark.parametrize(
    ("steps", "value", "expected"),
    [
        (["trim"], " 王芳 ", "王芳"),
        (["nfkc"], "１３８ａ", "138a"),
        (["nfkc", "trim"], "　王芳　", "王芳"),
        (["upper"], "3205x", "3205X"),
        (["lower"], "ABC", "abc"),
        (["squeeze"], " a  b\tc ", "a b c"),
        (["nfkc", "trim", "upper"], " ｘ", "X"),
        (["trim"], "   ", None),
        (["nfkc", "trim", "upper", "squeeze"], "", None),
        ([], "", ""),
        ([], " as it is ", " as it is "),
    ],
)
def test_steps_clean_texts_and_an_empty_text_is_missing(
    one_field: OneField, steps: list[str], value: str, expected: str | None
) -> None:
    assert out(one_field, {"steps": steps}, value) == expected


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("YYYYMMDD", "19900307"),
        ("YYYY-MM-DD", "1990-03-07"),
        ("YYYY/M/D", "1990/3/7"),
        ("YYYY/M/D", "1990/03/07"),
        ("YYYY年M月D日", "1990年3月7日"),
        ("DD.MM.YYYY", "07.03.1990"),
    ],
)
def test_dates_in_the_forms_that_people_type(one_field: OneField, form: str, text: str) -> None:
    assert out(one_field, {"date": form}, text, target=["null", DATE]) == dt.date(1990, 3, 7)


@pytest.mark.parametrize(
    "text", ["1990-02-30", "1990-3-7", "90-03-07", "1990-03-07 ", "19900307", "１９９０-03-07", "x"]
)
def test_a_text_that_is_no_date_of_the_form_is_rejected_without_its_value(one_field: OneField, text: str) -> None:
    rejected = out(one_field, {"date": "YYYY-MM-DD"}, text, target=["null", DATE])
    assert rejected == Reject("date", "out", "is no date in any of the forms YYYY-MM-DD")


def test_a_date_that_the_source_knows_as_a_date_goes_over(one_field: OneField) -> None:
    day = dt.date(1990, 3, 7)
    rule = {"steps": ["trim"], "date": "YYYYMMDD"}
    assert out(one_field, rule, day, source=["null", DATE], target=DATE) == day


def test_times_out_of_texts_get_the_zone_of_the_rule(one_field: OneField) -> None:
    rule = {"timestamp": {"formats": ["YYYY-MM-DD hh:mm:ss.f"]}}
    expected = dt.datetime(2026, 3, 1, 8, 30, 0, 120_000, BEIJING)
    assert out(one_field, rule, "2026-03-01 08:30:00.12", target=MOMENT) == expected
    assert out(one_field, {"timestamp": {}}, "2026-03-01T08:30:00.120+08:00", target=MOMENT) == expected
    assert out(one_field, {"timestamp": {}}, "yesterday", target=MOMENT).rule == "timestamp"


def test_a_local_time_becomes_a_moment_in_the_zone_of_the_rule(one_field: OneField) -> None:
    local = {"type": "long", "logicalType": "local-timestamp-micros"}
    value = dt.datetime(2026, 3, 1, 8, 30)  # noqa: DTZ001  (it is a local time)
    expected = dt.datetime(2026, 3, 1, 8, 30, tzinfo=BEIJING)
    assert out(one_field, {"timestamp": {"timezone": "+08:00"}}, value, local, MOMENT) == expected
    assert out(one_field, {}, value, local, MOMENT).rule == "type"


@pytest.mark.parametrize(
    ("rule", "value", "expected"),
    [
        ({"list": "sex"}, "1", "1"),
        ({"list": "sex", "to": "name"}, "1", "男"),
        ({"list": "sex", "from": "name"}, "女", "2"),
        ({"list": "sex", "map": {"M": "1", "F": "2"}}, "F", "2"),
        ({"list": "sex", "map": {"M": "1"}, "to": "name"}, "M", "男"),
    ],
)
def test_codes_by_their_list(one_field: OneField, rule: dict[str, Any], value: str, expected: str) -> None:
    assert out(one_field, {"codes": rule}, value) == expected


def test_a_code_that_is_in_neither_list_nor_map_is_rejected(one_field: OneField) -> None:
    assert out(one_field, {"codes": {"list": "sex"}}, "3") == Reject("codes", "out", "is not in the code list sex")
    only_map = {"codes": {"list": "sex", "map": {"M": "1"}}}
    assert out(one_field, only_map, "1").rule == "codes"


def test_an_integer_column_of_codes_is_read_as_text(one_field: OneField) -> None:
    assert out(one_field, {"codes": {"list": "sex"}}, 1, source=["null", "int"]) == "1"


@pytest.mark.parametrize(
    ("number", "target", "text", "expected"),
    [
        ({"type": "integer"}, "long", "-42", -42),
        ({"type": "integer"}, "int", "2147483648", "out_of_range"),
        ({"type": "integer"}, "long", "4.2", "number"),
        ({"type": "integer"}, "long", "4_2", "number"),
        ({"type": "float"}, "double", "4.5", 4.5),
        ({"type": "float"}, "double", "nan", "number"),
        ({"type": "integer", "thousands": ","}, "long", "1,234,567", 1_234_567),
    ],
)
def test_numbers_out_of_texts(
    one_field: OneField, number: dict[str, Any], target: str, text: str, expected: float | str
) -> None:
    result = out(one_field, {"number": number}, text, target=target)
    assert (result.rule if isinstance(result, Reject) else result) == expected


@pytest.mark.parametrize("text", ["1,5", "1,23.40", "1,2345", "12,,345", ",123", "1,234,", "1234,567", "1,234.5,678"])
@pytest.mark.parametrize("how", ["integer", "decimal", "float"])
def test_signs_for_thousands_stand_before_three_digits_each(one_field: OneField, how: str, text: str) -> None:
    target = {"integer": "long", "float": "double"}.get(
        how, {"type": "bytes", "logicalType": "decimal", "precision": 9}
    )
    made = out(one_field, {"number": {"type": how, "thousands": ","}}, text, target=target)

    assert made.rule == "number"


@pytest.mark.parametrize(
    ("source", "value", "timezone"),
    [
        ("string", "0001-01-01 00:00:00", "+08:00"),
        ("string", "9999-12-31T23:59:59-08:00", "+08:00"),
        (MOMENT | {"logicalType": "local-timestamp-micros"}, dt.datetime(1, 1, 1, 7, 59), "+08:00"),  # noqa: DTZ001
        (MOMENT | {"logicalType": "local-timestamp-micros"}, dt.datetime(9999, 12, 31, 23), "-01:00"),  # noqa: DTZ001
    ],
)
def test_a_moment_that_no_reader_can_read_is_rejected(
    one_field: OneField, source: Any, value: Any, timezone: str
) -> None:
    made = out(one_field, {"timestamp": {"timezone": timezone}}, value, ["null", source], MOMENT)

    assert (made.rule, made.reason) == ("timestamp", "is not within the years 1 to 9999 in UTC")


def test_decimals_must_fit_the_entity(one_field: OneField) -> None:
    target = {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 2}
    rule = {"number": {"type": "decimal", "decimal": ",", "thousands": "."}}
    assert out(one_field, rule, "123,45", target=target) == Decimal("123.45")
    assert out(one_field, rule, "1234,5", target=target).rule == "out_of_range"
    assert out(one_field, rule, "1,234", target=target).rule == "out_of_range"
    wide = {**target, "precision": 9, "scale": 4}
    assert out(one_field, {}, Decimal("1.2345"), wide, target).rule == "out_of_range"
    assert out(one_field, {}, Decimal("1.23"), wide, target) == Decimal("1.23")


@pytest.mark.parametrize(
    ("rule", "value", "broken"),
    [
        ({"pattern": "1[0-9]{10}"}, "13812348000", None),
        ({"pattern": "1[0-9]{10}"}, "13812348000\n", "pattern"),
        ({"pattern": "1[0-9]{10}"}, "x13812348000", "pattern"),
        ({"min_length": 2}, "王", "min_length"),
        ({"max_length": 2}, "王小明", "max_length"),
        ({"min_length": 2, "max_length": 3}, "王小明", None),
        ({"check": "gb11643"}, "11010519491231002X", None),
        ({"check": "gb11643"}, "11010519491231002x", "gb11643"),
        ({"check": "gb32100"}, "91350100M000100Y43", None),
        ({"check": "gb32100"}, "91350100M000100Y44", "gb32100"),
    ],
)
def test_checks_reject_and_never_change(
    one_field: OneField, rule: dict[str, Any], value: str, broken: str | None
) -> None:
    result = out(one_field, rule, value)
    assert (result.rule if isinstance(result, Reject) else None) == broken
    assert broken or result == value


def test_a_missing_value_is_null_or_the_default_or_rejected(one_field: OneField) -> None:
    assert out(one_field, {}, None) is None
    assert out(one_field, {"default": "?"}, None) == "?"
    assert out(one_field, {"default": "1990-03-07", "date": "YYYYMMDD"}, None, target=DATE) == dt.date(1990, 3, 7)
    assert out(one_field, {"required": True}, None) == Reject("required", "out", "has no value")
    assert out(one_field, {}, None, target="string").rule == "required"


def test_a_constant_needs_no_source(one_field: OneField) -> None:
    compiled = one_field({"const": "320500"}, None, "string")
    assert compiled.apply({"id": "k"}) == {"id": "k", "out": "320500"}


def test_fields_are_joined_and_texts_are_split(one_field: OneField) -> None:
    join = one_field({"from": ["in", "b"], "join": "-"}, row_fields={"b": ["null", "int"]})
    assert join.apply({"id": "k", "in": "0512", "b": 6522}) == {"id": "k", "out": "0512-6522"}
    assert join.apply({"id": "k", "in": "0512", "b": None}) == {"id": "k", "out": "0512"}
    assert join.apply({"id": "k", "in": None, "b": None}) == {"id": "k", "out": None}
    part = {"split": {"by": "/", "part": 1}, "steps": ["trim"]}
    assert out(one_field, part, "a / b") == "b"
    assert out(one_field, part, "a") is None
    assert out(one_field, {"split": {"by": "/", "part": -1}}, "a/b/c") == "c"


@pytest.mark.parametrize(
    ("source", "value", "target", "expected"),
    [
        ("long", 7, "string", "7"),
        ("boolean", True, "string", "true"),
        ({"type": "string", "logicalType": "uuid"}, uuid.UUID(int=1), "string", str(uuid.UUID(int=1))),
        (DATE, dt.date(2026, 1, 2), "string", "2026-01-02"),
        ("int", 7, "long", 7),
        ("int", 7, "double", 7.0),
        ("long", 1 << 40, "int", "out_of_range"),
        ("string", "OPEN", {"type": "enum", "name": "s", "symbols": ["OPEN"]}, "OPEN"),
        ("string", "SHUT", {"type": "enum", "name": "s", "symbols": ["OPEN"]}, "enum"),
        ("bytes", b"x", "bytes", b"x"),
        ("bytes", b"x", "string", "type"),
        ("string", "7", "long", "type"),
        ("double", 1.5, "long", "type"),
    ],
)
def test_copies_between_types(one_field: OneField, source: Any, value: Any, target: Any, expected: Any) -> None:
    result = out(one_field, {}, value, source, target)
    assert (result.rule if isinstance(result, Reject) else result) == expected


def test_no_reject_ever_tells_the_value(one_field: OneField) -> None:
    secret = "王小明13812348000"
    rules: list[dict[str, Any]] = [
        {"pattern": "x"},
        {"max_length": 1},
        {"check": "gb11643"},
        {"check": "gb32100"},
        {"codes": {"list": "sex"}},
    ]
    for rule in rules:
        rejected = out(one_field, rule, secret)
        assert isinstance(rejected, Reject)
        assert secret not in repr(rejected)


def test_a_text_too_long_for_a_pattern_is_rejected_without_a_search(one_field: OneField) -> None:
    assert out(one_field, {"pattern": "a+"}, "a" * 10_000) == "a" * 10_000
    rejected = out(one_field, {"pattern": "a+"}, "a" * 10_001)
    assert isinstance(rejected, Reject)
    assert rejected.reason == "is longer than the 10000 characters that its pattern is tried on"
