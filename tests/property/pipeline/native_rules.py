"""Random rules of a mapping: what can become of a source's field, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st

from tests.property.pipeline.native_values import LEAVES, mostly

if TYPE_CHECKING:
    from tests.property.pipeline.native_values import Encoded

    Made = tuple[str, dict[str, Any]]
    """The leaf that a field of the entity is of, and the rule that makes it."""

CODES: Final = {"1": "男", "2": "女", "A": "甲", "B": "乙"}
PATTERNS: Final = (
    "[0-9]{17}[0-9X]", "[0-9]{0,40}", "[0-9a-z-]{1,12}", "[A-Z]{0,3}[0-9]{1,9}", "男|女|[12]", "1|2|A|x9", "[^a]{0,9}",
    "[0-9]{8}|[0-9]{4}-[0-9]{2}-[0-9]{2}", "", "(王|欧).{0,5}", "[ -~]{0,30}", "(?i)[a-z]{2}", "a?b?c?[0-9]{1,5}", ".*",
)  # fmt: skip
STEPS: Final = ("nfkc", "trim", "upper", "lower")
_FORMATS: Final = (["YYYYMMDD"], ["YYYY-MM-DD", "YYYY/M/D"], "YYYY年M月D日")
_DEFAULTS: Final[dict[str, Any]] = {
    "string": "甲", "int": -3, "long": 2**40, "float": 1.5, "double": 2, "boolean": True, "enum": "B", "uuid": "1" * 32,
    "date": "2000-02-29", "time-micros": "08:30:00", "timestamp-micros": "2024-01-01T00:00:00+08:00", "decimal": "1.50",
}  # fmt: skip
_INTEGER: Final = ("int", "long", "double", "float", "decimal", "string")
_BECOMES: Final = {
    "int": _INTEGER, "long": _INTEGER, "float": ("double",), "double": ("float",), "decimal": ("fixed-decimal",),
    "fixed-decimal": ("decimal",), "bytes": ("bytes",),
}  # fmt: skip
"""Leaf → what it can become beside itself; most can become a text."""


@dataclass(frozen=True)
class Column:
    """A field of the source's rows."""

    name: str
    leaf: str
    declared: Any
    encoded: Encoded


@st.composite
def rules(draw: st.DrawFn, columns: list[Column]) -> Made:
    """A rule over some of the columns; now and then one that no such source can satisfy."""
    sources = [column for column in columns if column.leaf != "fixed"]
    one = draw(st.sampled_from(sources))
    if one.leaf in {"string", "enum"} and draw(st.integers(0, 9)) != 5:
        target, rule = draw(_of_text(one, sources))
    else:
        target, rule = draw(_of_value(one))
    return target, rule | draw(_missing(target))


@st.composite
def _of_value(draw: st.DrawFn, one: Column) -> Made:
    if one.leaf.startswith("local-timestamp") and draw(st.booleans()):
        return "timestamp-micros", {"from": one.name, "timestamp": {}}
    others = st.sampled_from([one.leaf, *_BECOMES.get(one.leaf, ("string",))])
    return draw(mostly(others, st.sampled_from(sorted(LEAVES)), 40)), {"from": one.name}


_maps: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{}, {"from": "name"}, {"to": "name"}, {"map": {"男": "1", "女": "2"}}]
)
_clocks: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {},
        {"timezone": "-09:30"},
        {"formats": ["YYYY-MM-DD hh:mm:ss", "YYYYMMDDhhmmss"], "timezone": "-03:30"},
        {"formats": ["YYYY年M月D日 h:mm", "D/M/YYYY hh:mm:ss.f", "YYYYMMDD"]},
        {"formats": ["YYYYMDhhmm"]},
    ]
)
_counts = st.sampled_from(
    [
        *(("integer", "int"), ("integer", "long"), ("decimal", "decimal"), ("decimal", "decimal")),
        *(("float", "float"), ("float", "double")),
    ]
)
_signs: st.SearchStrategy[dict[str, str]] = st.sampled_from(
    [{}, {"thousands": ","}, {"thousands": ".", "decimal": ","}, {"decimal": "1"}, {"thousands": "-"}]
)
_KINDS: Final = ("codes", "date", "moment", "number", "split", "join", "const", "gone")


@st.composite
def _of_text(draw: st.DrawFn, one: Column, sources: list[Column]) -> Made:
    kind = draw(st.sampled_from(["clean"] * 6 + list(_KINDS)))
    if kind == "join":
        others = [column.name for column in sources if column.leaf not in {"bytes", "fixed-decimal"}]
        return "string", {"from": [one.name, *draw(st.permutations(others))[:2], one.name], "join": "-"}
    if kind in {"const", "gone"}:
        return "string", {"const": "定"} if kind == "const" else {"from": "gone"}
    target, rule = draw(_parsed(kind))
    return target, {"from": one.name, "steps": draw(st.lists(st.sampled_from(STEPS), max_size=3)), **rule}


@st.composite
def _parsed(draw: st.DrawFn, kind: str) -> Made:
    if kind == "codes":
        return draw(st.sampled_from(["string", "enum"])), {"codes": {"list": "l", **draw(_maps)}}
    if kind == "date":
        return "date", {"date": draw(st.sampled_from(_FORMATS))}
    if kind == "moment":
        return draw(st.sampled_from(["timestamp-micros", "timestamp-millis"])), {"timestamp": draw(_clocks)}
    if kind == "number":
        how, target = draw(_counts)
        return target, {"number": {"type": how, **draw(_signs)}}
    if kind == "split":
        return "string", {"split": {"by": draw(st.sampled_from("-·1")), "part": draw(st.integers(-2, 2))}}
    return draw(st.sampled_from(["string"] * 12 + ["enum"])), draw(_bounds())


@st.composite
def _bounds(draw: st.DrawFn) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if draw(st.integers(0, 3)) == 3:
        made["pattern"] = draw(st.sampled_from(PATTERNS))
    if draw(st.integers(0, 3)) == 3:
        made["min_length"] = draw(st.integers(1, 3))
    if draw(st.integers(0, 3)) == 3:
        made["max_length"] = draw(st.integers(1, 20))
    if draw(st.integers(0, 9)) == 9:
        made["check"] = draw(st.sampled_from(["gb11643", "gb32100"]))
    return made


@st.composite
def _missing(draw: st.DrawFn, leaf: str) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if draw(st.integers(0, 4)) == 4 and leaf in _DEFAULTS:
        made["default"] = _DEFAULTS[leaf]
    if draw(st.integers(0, 4)) == 4:
        made["required"] = True
    return made
