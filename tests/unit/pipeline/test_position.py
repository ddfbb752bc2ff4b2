"""An adapter's position survives its way through Kafka, and a unit that comes again does not set it back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.pipeline.position import BadPositionError, Bracket, Progress
from bus.spi import Batch, Change, Op, Position

positions = st.builds(Position, st.text(), st.integers(0, 2**62), st.booleans())
brackets = st.builds(Bracket, st.text(), st.dictionaries(st.integers(0, 63), st.integers(0, 2**62)))
progresses = st.builds(
    Progress,
    st.none() | positions,
    st.integers(0, 2**60),
    st.dictionaries(st.text(max_size=9), brackets),
    st.none() | st.lists(st.text(max_size=9)).map(tuple),
)


def batch(unit: str, *rows: int, last: bool = True) -> Batch:
    return Batch(unit, [Change("t", Op.CREATE, None, {}, row) for row in rows], last=last, time=5)


@given(progresses)
def test_it_comes_back(progress: Progress) -> None:
    output = progress.output("gongan", "register")

    assert (output.topic, output.partition, output.key) == ("_bus.positions.gongan", 0, b"register")
    assert Progress.of(output.value) == progress


@given(st.binary(max_size=40))
def test_what_is_no_position_is_told_as_such(value: bytes) -> None:
    with pytest.raises(BadPositionError):
        Progress.of(value)


def test_nothing_stored_is_the_start() -> None:
    assert Progress.of(None) == Progress()


def test_it_moves_through_the_batches_of_a_unit() -> None:
    begun = Progress().after(batch("u", 1, 2, last=False))
    assert begun.position == Position("u", 2, complete=False)
    assert begun.after(batch("u")).position == Position("u", 2, complete=True)


def test_a_whole_unit_that_comes_again_stays_whole() -> None:
    done = Progress().after(batch("u", 1, 2))

    assert done.after(batch("u", 1, last=False)) == done
    assert done.after(batch("v")).position == Position("v", 0, complete=True)


def test_a_snapshot_is_open_between_its_brackets() -> None:
    opened = Progress().opened("a.b", Bracket("snapshot/1", {0: 5}))

    assert opened.snapshots["a.b"].begin == {0: 5}
    assert opened.closed("a.b").snapshots == {}
