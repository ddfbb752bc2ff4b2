"""The compiled code finds the predicates that hold for a record exactly as the index does on the record decoded."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from functools import cache
from io import BytesIO
from typing import Any, Final

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from bus.catalogue.avro_type import field_types
from bus.catalogue.predicate import Predicate
from bus.pipeline import native
from bus.pipeline.native.filter_program import compile_filters
from bus.pipeline.predicate_index import PredicateIndex
from tests.property.pipeline.native_values import cases, needs_native, number
from tests.property.pipeline.some_predicates import not_known, predicates_of

SCHEMA: Final = {
    "type": "record",
    "name": "c.e",
    "fields": [
        {"name": "code", "type": ["null", "string"]},
        {"name": "name", "type": "string"},
        {"name": "age", "type": ["int", "null"]},
        {"name": "big", "type": "long"},
        {"name": "alive", "type": "boolean"},
        {"name": "state", "type": ["null", {"type": "enum", "name": "State", "symbols": ["SHUT", "OPEN", "GONE"]}]},
        {"name": "born", "type": {"type": "int", "logicalType": "date"}},
        {"name": "seen", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}]},
        {"name": "ticked", "type": {"type": "long", "logicalType": "local-timestamp-millis"}},
        {"name": "opens", "type": {"type": "int", "logicalType": "time-millis"}},
        {"name": "height", "type": "double"},
        {"name": "weight", "type": ["null", "float"]},
        {"name": "owed", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}]},
    ],
}
PARSED: Final = parse_schema(SCHEMA)
TYPES: Final = field_types(SCHEMA)
NAMES: Final = tuple(TYPES)

_texts = st.text("1a甲😀", max_size=4)
_numbers = st.integers(-2, 2)
_days = st.dates(dt.date(2024, 2, 27), dt.date(2024, 3, 2)) | st.sampled_from([dt.date.min, dt.date.max])
_times = st.builds(dt.time, st.integers(8, 9), st.sampled_from([0, 59]))
_moments = st.builds(dt.datetime.combine, _days.filter(lambda day: 1 < day.year < 9999), _times)
_reals = st.sampled_from([-1.5, -0.0, 0.0, 0.5, 2.0**70, math.inf, -math.inf])

VALUES: Final[dict[str, st.SearchStrategy[Any]]] = {
    "code": _texts,
    "name": _texts,
    "age": _numbers,
    "big": _numbers | st.sampled_from([2**63 - 1, -(2**63), 2**40]),
    "alive": st.booleans(),
    "state": st.sampled_from(["SHUT", "OPEN", "GONE"]),
    "born": _days,
    "seen": _moments.map(lambda moment: moment.replace(tzinfo=dt.UTC)),
    "ticked": _moments,
    "opens": _times,
    "height": _reals,
    "weight": _reals,
    "owed": st.decimals(-2, 2, places=1) | st.sampled_from([Decimal("9999.99"), Decimal("-9999.99")]),
}
OPTIONAL: Final = ("code", "age", "state", "seen", "weight", "owed")
ORDERED: Final = [name for name in NAMES if name not in {"alive", "state"}]

records = st.fixed_dictionaries(
    {
        name: (st.none() | values if name in OPTIONAL else values)
        | (st.just(math.nan) if values is _reals else st.nothing())
        for name, values in VALUES.items()
    }
)


def _written(value: Any) -> Any:
    """As YAML has it: dates, times and decimals as texts."""
    if isinstance(value, Decimal):
        return str(value)
    return value.isoformat() if isinstance(value, dt.date | dt.time) else value


def _values_of(name: str) -> st.SearchStrategy[Any]:
    return VALUES[name].map(_written)


def _equal(name: str) -> st.SearchStrategy[dict[str, Any]]:
    return _values_of(name).map(lambda value: {"field": name, "eq": value})


def _one_of(name: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.lists(_values_of(name), min_size=1, max_size=4).map(lambda some: {"field": name, "in": some})


def _between(name: str) -> st.SearchStrategy[dict[str, Any]]:
    values = _values_of(name)
    if name == "owed":
        values |= st.decimals(-2, 2, places=4).map(str)  # with more places than the field has
    ends = st.dictionaries(st.sampled_from(["from", "to"]), values, min_size=1)
    return ends.map(lambda some: {"field": name, "range": some})


leaves = st.one_of(
    st.sampled_from(NAMES).flatmap(_equal),
    st.sampled_from(NAMES).flatmap(_one_of),
    st.sampled_from(ORDERED).flatmap(_between),
    st.builds(
        lambda name, text: {"field": name, "prefix": text}, st.sampled_from(["code", "name"]), _texts.filter(bool)
    ),
)
predicates = predicates_of(leaves)


def encoded(record: dict[str, Any]) -> bytes:
    body = BytesIO()
    schemaless_writer(body, PARSED, record)
    return body.getvalue()


def decoded(content: bytes) -> Any:
    return schemaless_reader(BytesIO(content), PARSED, None)


@needs_native
@cases(1_000)
@given(st.lists(predicates, max_size=8), st.lists(records, min_size=1, max_size=10))
def test_it_finds_what_the_index_finds(some: list[Predicate], given: list[dict[str, Any]]) -> None:
    index = PredicateIndex(some, TYPES)
    filters = native.Filters(compile_filters(index, NAMES, SCHEMA))
    contents: list[bytes | None] = [encoded(record) for record in given]

    found = filters.hits(contents, not_known)

    assert found == [index.matches(decoded(content or b"")) for content in contents]


@needs_native
@cases(50)
@given(st.lists(predicates, min_size=65, max_size=80), st.lists(records, min_size=1, max_size=10))
def test_it_finds_the_same_again_where_many_are_tried(some: list[Predicate], given: list[dict[str, Any]]) -> None:
    index = PredicateIndex([Predicate.model_validate({"not": {"not": each}}) for each in some], TYPES)
    filters = native.Filters(compile_filters(index, NAMES, SCHEMA))
    contents: list[bytes | None] = [encoded(record) for record in given]

    expected = [index.matches(decoded(content or b"")) for content in contents]
    for _ in range(2):
        assert filters.hits(contents, not_known) == expected


@cache
def _some_filters() -> native.Filters:
    some = [
        {"any": [{"field": "code", "prefix": "1"}, {"field": "name", "in": ["", "甲"]}]},
        {"not": {"field": "weight", "range": {"from": 0.5, "to": 2.5}}},
        {"all": [{"field": "state", "eq": "OPEN"}, {"field": "born", "range": {"to": "2024-02-29"}}]},
    ]
    index = PredicateIndex([Predicate.model_validate(each) for each in some], TYPES)
    return native.Filters(compile_filters(index, NAMES, SCHEMA))


@needs_native
@cases(2_000)
@given(records, st.data())
def test_what_is_no_record_of_these_fields_is_left_to_the_reference(
    record: dict[str, Any], data: st.DataObject
) -> None:
    whole = encoded(record)
    odd = st.sampled_from([b"\xff" * 10, b"\xff" * 9 + b"\x01", b"\x80" * 9 + b"\x01", number(2**40), number(-2), b""])
    end, more = data.draw(st.integers(0, len(whole))), data.draw(odd | st.binary(max_size=9))
    damaged = whole[:end] + more + whole[end + data.draw(st.integers(0, 9)) :]

    [found] = _some_filters().hits([damaged], lambda _: (-1,))

    if found != (-1,):
        assert set(found) <= {0, 1, 2}
    assert _some_filters().hits([whole[:-1], None, whole], lambda _: (-1,))[:2] == [(-1,), (-1,)]
