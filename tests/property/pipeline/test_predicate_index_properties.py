"""The index finds exactly the predicates that hold: those that trying each one by one would find."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bus.catalogue.avro_type import AvroType
from bus.catalogue.predicate import Predicate, compile_predicate
from bus.pipeline.predicate_index import PredicateIndex
from tests.property.pipeline.some_predicates import predicates_of

TYPES = {
    "code": AvroType("string", nullable=True),
    "name": AvroType("string"),
    "age": AvroType("int", nullable=True),
    "alive": AvroType("boolean"),
    "state": AvroType("enum", symbols=("OPEN", "SHUT")),
}

texts = st.text("12", min_size=1, max_size=3)
numbers = st.integers(0, 3)


def leaf(field: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        values.map(lambda value: {"field": field, "eq": value}),
        st.lists(values, min_size=1, max_size=3).map(lambda some: {"field": field, "in": some}),
    )


leaves = st.one_of(
    leaf("code", texts),
    leaf("name", texts),
    leaf("age", numbers),
    leaf("alive", st.booleans()),
    leaf("state", st.sampled_from(["OPEN", "SHUT"])),
    st.builds(lambda field, text: {"field": field, "prefix": text}, st.sampled_from(["code", "name"]), texts),
    st.builds(lambda low: {"field": "age", "range": {"from": low}}, numbers),
)
predicates = predicates_of(leaves)
records = st.fixed_dictionaries(
    {
        "code": st.none() | texts,
        "name": texts,
        "age": st.none() | numbers,
        "alive": st.booleans(),
        "state": st.sampled_from(["OPEN", "SHUT"]),
    }
)


@given(st.lists(predicates, max_size=8), st.lists(records, min_size=1, max_size=10))
def test_the_index_finds_what_trying_each_predicate_finds(some: list[Predicate], given: list[dict[str, Any]]) -> None:
    index = PredicateIndex(some, TYPES)
    tests = [compile_predicate(predicate, TYPES) for predicate in some]

    for record in given:
        assert index.matches(record) == tuple(n for n, holds in enumerate(tests) if holds(record))
