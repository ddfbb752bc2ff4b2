"""Rows of other shapes than the light mapping's nine: of 120 fields, with records inside, with numbers in texts."""

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
    targets = {_field(number): _target(number) for number in range(_COPIED.stop)}
    return _extended(resources, targets, {_field(number): _rule(number) for number in range(_COPIED.stop)})


def _extended(resources: list[Resource], targets: dict[str, Any], rules: dict[str, Any]) -> list[Resource]:
    """The resources, with more fields in the entity and in the mapping."""
    return [_longer(each, targets, rules) for each in resources]


def _longer(resource: Resource, targets: dict[str, Any], rules: dict[str, Any]) -> Resource:
    spec = dict(resource["spec"])
    if resource["kind"] == "Entity":
        more = [{"name": name, "type": _nullable(target), "default": None} for name, target in targets.items()]
        spec["schema"] = spec["schema"] | {"fields": [*spec["schema"]["fields"], *more]}
        spec["fields"] = spec["fields"] | {name: {"grade": 1, "authority": "bench"} for name in targets}
    elif resource["kind"] == "Mapping":
        spec["fields"] = spec["fields"] | rules
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


_TEXTS: Final[dict[str, tuple[Any, dict[str, Any]]]] = {
    "rks": ("long", {"number": {"type": "integer", "thousands": ","}}),
    "nsr": (
        {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2},
        {"number": {"type": "decimal", "thousands": ","}},
    ),
    "mj": ("double", {"number": {"type": "float"}}),
    "djsj": ({"type": "long", "logicalType": "timestamp-micros"}, {"timestamp": {}}),
    "bgsj": ({"type": "long", "logicalType": "timestamp-micros"}, {"timestamp": {"formats": ["YYYYMMDDhhmmss"]}}),
}
"""A dump's columns: people, a yearly income, an area, registered and changed at; what each becomes, and how."""

TEXTS_ROW: Final = _row_with([{"name": name, "type": _nullable("string"), "default": None} for name in _TEXTS])


def with_texts(resources: list[Resource]) -> list[Resource]:
    """The resources, with numbers and times that the source has as texts."""
    rules = {name: {"from": name, "steps": ["trim"], **rule} for name, (_, rule) in _TEXTS.items()}
    return _extended(resources, {name: target for name, (target, _) in _TEXTS.items()}, rules)


def texts(changes: Changes) -> Changes:
    """The changes, with numbers and times as a CSV dump has them."""
    for number, (key, event) in enumerate(changes):
        row = event["after"] or event["before"]
        clock = f"{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}"
        row["rks"] = f"{number % 90_000:,}"
        row["nsr"] = f"{number * 97 % 9_000_000 / 100:,.2f} "
        row["mj"] = f"{number % 4_999 / 8:.3f}"
        row["djsj"] = f"20{number % 26:02}-{number % 12 + 1:02}-{number % 28 + 1:02} {clock}"
        row["bgsj"] = f"2026{number % 12 + 1:02}{number % 28 + 1:02}{clock.replace(':', '')}"
        yield key, event
