"""Rows of other shapes than the light mapping's nine fields: one of 120 fields, and one with records inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bus.bench.events import LIGHT_ROW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bus.bench.copies import Resource

    Changes = Iterator[tuple[bytes, dict[str, Any]]]

WIDE_FIELDS: Final = 120
_DATES: Final = range(10)
_NUMBERS: Final = range(10, 20)
_CLEANED: Final = range(20, 40)
_COPIED: Final = range(40, WIDE_FIELDS - len(LIGHT_ROW["fields"]))


def _field(number: int) -> str:
    return f"zd{number:03}"


def _nullable(declared: Any) -> list[Any]:
    return ["null", declared]


def _row_with(fields: list[dict[str, Any]]) -> dict[str, Any]:
    return LIGHT_ROW | {"fields": [*LIGHT_ROW["fields"], *fields]}


WIDE_ROW: Final = _row_with(
    [
        {"name": _field(number), "type": _nullable("long" if number in _NUMBERS else "string"), "default": None}
        for number in range(_COPIED.stop)
    ]
)


def _target(number: int) -> Any:
    if number in _DATES:
        return {"type": "int", "logicalType": "date"}
    return "long" if number in _NUMBERS else "string"


def _rule(number: int) -> dict[str, Any]:
    rule: dict[str, Any] = {"from": _field(number)}
    if number in _DATES:
        return rule | {"date": "YYYY-MM-DD"}
    return rule | {"steps": ["nfkc", "trim"]} if number in _CLEANED else rule


def _value(field: int, number: int) -> Any:
    if field in _DATES:
        return f"{1950 + number % 70}-{field % 9 + 1:02}-15"
    if field in _NUMBERS:
        return number * 7_919 + field
    text = f"内容{(number + field) % 977:03}"
    return f" {text} " if field in _CLEANED else text


def widen(resources: list[Resource]) -> list[Resource]:
    """The resources, with all 120 fields in the entity and in the mapping."""
    return [_wide(each) for each in resources]


def _wide(resource: Resource) -> Resource:
    spec, numbers = dict(resource["spec"]), range(_COPIED.stop)
    if resource["kind"] == "Entity":
        more = [{"name": _field(number), "type": _nullable(_target(number)), "default": None} for number in numbers]
        spec["schema"] = spec["schema"] | {"fields": [*spec["schema"]["fields"], *more]}
        spec["fields"] = spec["fields"] | {_field(number): {"grade": 1, "authority": "bench"} for number in numbers}
    elif resource["kind"] == "Mapping":
        spec["fields"] = spec["fields"] | {_field(number): _rule(number) for number in numbers}
    return resource | {"spec": spec}


def widened(changes: Changes) -> Changes:
    """The changes, of rows of 120 fields."""
    for number, (key, event) in enumerate(changes):
        row = event["after"] or event["before"]
        row.update({_field(field): _value(field, number) for field in range(_COPIED.stop)})
        yield key, event


_MEMBER: Final = {
    "type": "record",
    "name": "Member",
    "fields": [
        {"name": "xm", "type": "string"},
        {"name": "gx", "type": _nullable("string"), "default": None},
        {"name": "csrq", "type": _nullable("string"), "default": None},
    ],
}
_ADDRESS: Final = {
    "type": "record",
    "name": "Address",
    "fields": [
        {"name": "jd", "type": "string"},
        {"name": "wd", "type": _nullable("double"), "default": None},
        {"name": "bq", "type": {"type": "map", "values": "string"}},
    ],
}
NESTED_ROW: Final = _row_with(
    [
        {"name": "dz", "type": _nullable(_ADDRESS), "default": None},
        {"name": "jtcy", "type": {"type": "array", "items": _MEMBER}, "default": []},
        {"name": "cym", "type": {"type": "array", "items": "string"}, "default": []},
    ]
)
"""A source's row with an address (a record, a map inside), up to four members of the family (an array of records) and
former names (an array of texts). A mapping takes flat fields only: these are read over, byte by byte."""


def nested(changes: Changes) -> Changes:
    """The changes, of rows with records inside."""
    for number, (key, event) in enumerate(changes):
        row = event["after"] or event["before"]
        row["dz"] = {"jd": f"人民路{number % 997}号", "wd": 31.3, "bq": {"网格": f"{number % 89}", "社区": "学士街"}}
        row["jtcy"] = [{"xm": f"成员{each}", "gx": "子女", "csrq": "20010101"} for each in range(number % 5)]
        row["cym"] = [f"曾用名{each}" for each in range(number % 3)]
        yield key, event
