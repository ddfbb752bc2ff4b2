"""What the lanes of a process fetch at once is shared among those that are behind."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bus.pipeline.fetch_budget import FetchBudget

MB = 1024 * 1024


def budget() -> FetchBudget:
    return FetchBudget(whole=12 * MB, least=MB)


def test_a_lane_that_is_behind_alone_gets_as_much_as_it_has_a_use_for() -> None:
    assert budget().next("one", fetched=MB, asked=MB, most=3 * MB) == 3 * MB


def test_many_that_are_behind_share() -> None:
    shared = budget()
    parts = [shared.next(f"lane {number}", MB, MB, 3 * MB) for number in range(6)]
    assert parts == [3 * MB, 3 * MB, 3 * MB, 3 * MB, 12 * MB // 5, 2 * MB]
    assert shared.next("lane 0", 3 * MB, 3 * MB, 3 * MB) == 2 * MB


def test_a_lane_that_has_caught_up_or_ended_leaves_its_part_to_others() -> None:
    shared = budget()
    for number in range(6):
        shared.next(f"lane {number}", MB, MB, 3 * MB)
    assert shared.next("lane 0", MB - 1, 2 * MB, 3 * MB) == MB
    shared.leave("lane 1")
    shared.leave("never there")
    assert shared.next("lane 2", 2 * MB, 2 * MB, 3 * MB) == 3 * MB


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 8 * MB)), max_size=200))
def test_once_each_has_heard_all_together_ask_for_no_more_than_there_is(steps: list[tuple[int, int]]) -> None:
    shared = budget()
    asked: dict[int, int] = {}
    for lane, fetched in steps:
        asked[lane] = shared.next(str(lane), fetched, asked.get(lane, MB), 3 * MB)
    asked = {lane: shared.next(str(lane), size, size, 3 * MB) for lane, size in asked.items()}
    asked = {lane: shared.next(str(lane), size, size, 3 * MB) for lane, size in asked.items()}
    assert sum(asked.values()) <= max(12 * MB, len(asked) * MB)
    assert all(MB <= size <= 3 * MB for size in asked.values())
