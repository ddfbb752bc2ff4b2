"""Random predicates out of tests of single fields, and what no record of theirs should be left to."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from bus.catalogue.predicate import Predicate


def predicates_of(leaves: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[Predicate]:
    """These tests, and `all`, `any` and `not` of them, some levels deep."""
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"all": parts}),
            st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"any": parts}),
            inner.map(lambda part: {"not": part}),
        ),
        max_leaves=6,
    ).map(Predicate.model_validate)


def not_known(place: int) -> tuple[int, ...]:
    """The reference, where the compiled code is to do all."""
    raise AssertionError(f"the record at {place} was left to the reference")
