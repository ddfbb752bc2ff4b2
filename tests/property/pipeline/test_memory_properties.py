"""A set of view numbers survives being packed, however large the numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bus.pipeline.memory import pack, unpack


@given(st.sets(st.integers(1, 2**40)))
def test_a_set_survives_being_packed(numbers: set[int]) -> None:
    assert unpack(pack(sorted(numbers))) == sorted(numbers)


@given(st.sets(st.integers(1, 2**40)), st.sets(st.integers(1, 2**40)))
def test_equal_sets_and_only_these_are_equal_bytes(one: set[int], other: set[int]) -> None:
    assert (pack(sorted(one)) == pack(sorted(other))) is (one == other)
