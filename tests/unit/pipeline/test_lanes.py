"""Every input partition is in exactly one lane, the same on every machine."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from bus.pipeline.lanes import lane_of, share

topics = st.dictionaries(st.from_regex(r"raw\.[a-z]{1,5}\.[a-z]{1,5}", fullmatch=True), st.integers(1, 12), max_size=20)


@given(topics, st.integers(1, 32))
def test_every_partition_is_in_exactly_one_lane(found: dict[str, int], lanes: int) -> None:
    shares = [share(found, lane, lanes) for lane in range(lanes)]
    everything = [(topic, number) for topic, partitions in found.items() for number in range(partitions)]

    assert sorted(place for each in shares for place in each) == sorted(everything)


def test_lanes_are_for_ever() -> None:
    places = [("raw.gongan.population", 0), ("raw.gongan.population", 3), ("shared.population.person", 7)]

    assert [lane_of(topic, number, 16) for topic, number in places] == [9, 12, 13]


@given(st.text("abc.", min_size=1), st.integers(1, 64), st.integers(1, 64))
def test_the_partitions_of_a_topic_are_spread_evenly(topic: str, partitions: int, lanes: int) -> None:
    taken = Counter(lane_of(topic, number, lanes) for number in range(partitions))
    fewest = min(taken.values()) if len(taken) == lanes else 0

    assert max(taken.values()) - fewest <= 1


def test_a_new_topic_moves_no_other() -> None:
    before, after = {"raw.a.b": 4}, {"raw.a.b": 4, "raw.c.d": 4}

    for lane in range(16):
        assert share(before, lane, 16) <= share(after, lane, 16)
