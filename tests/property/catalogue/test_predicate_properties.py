"""Predicates: `disjoint` never claims too much; a predicate survives the catalogue."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bus.catalogue.avro_type import AvroType
from bus.catalogue.disjoint import disjoint
from bus.catalogue.predicate import Predicate, compile_predicate

TYPES = {"a": AvroType("string"), "n": AvroType("int", nullable=True)}

texts = st.text("12", min_size=1, max_size=3)
numbers = st.integers(0, 4)
leaves = st.one_of(
    st.builds(lambda v: {"field": "a", "eq": v}, texts),
    st.builds(lambda v: {"field": "a", "in": v}, st.lists(texts, min_size=1, max_size=3)),
    st.builds(lambda v: {"field": "a", "prefix": v}, texts),
    st.builds(lambda low, high: {"field": "a", "range": {"from": low, "to": high}}, texts, texts),
    st.builds(lambda v: {"field": "n", "eq": v}, numbers),
    st.builds(lambda low, high: {"field": "n", "range": {"from": low, "to": high}}, numbers, numbers),
    st.builds(lambda low: {"field": "n", "range": {"from": low}}, numbers),
)
written = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=5,
)
predicates = written.map(Predicate.model_validate)
records = st.fixed_dictionaries({"a": texts, "n": st.one_of(st.none(), numbers)})


@given(predicates, predicates, st.lists(records, max_size=20))
def test_what_is_called_disjoint_has_no_record_in_common(
    one: Predicate, other: Predicate, some: list[dict[str, Any]]
) -> None:
    if disjoint(one, other, TYPES):
        left, right = compile_predicate(one, TYPES), compile_predicate(other, TYPES)
        assert not any(left(record) and right(record) for record in some)


@given(predicates, predicates)
def test_disjoint_is_symmetric(one: Predicate, other: Predicate) -> None:
    assert disjoint(one, other, TYPES) is disjoint(other, one, TYPES)


@given(predicates, records)
def test_not_turns_every_answer_round(predicate: Predicate, record: dict[str, Any]) -> None:
    negated = Predicate.model_validate({"not": predicate})
    assert compile_predicate(negated, TYPES)(record) is not compile_predicate(predicate, TYPES)(record)


@given(predicates)
def test_a_predicate_survives_being_written_as_json(predicate: Predicate) -> None:
    text = predicate.model_dump_json(by_alias=True, exclude_defaults=True)
    assert Predicate.model_validate_json(text) == predicate
