"""A job beside the live work takes its share of the time, and no more."""

from __future__ import annotations

from bus.pipeline.share_of_time import ShareOfTime


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_steps_take_their_share_however_long_each_is() -> None:
    clock = Clock()
    share = ShareOfTime(0.3, clock)
    spent = 0.0
    for length in [0.5, 0.1, 2.0, 0.01] * 50:
        while not share.begin():
            clock.now += 0.01
        clock.now += length
        spent += length
        share.end()

    assert 0.28 < spent / clock.now <= 0.31


def test_one_step_at_a_time() -> None:
    share = ShareOfTime(0.3, Clock())
    assert share.begin()
    assert not share.begin()
