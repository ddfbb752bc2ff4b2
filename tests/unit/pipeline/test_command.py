"""Which rejects a command means, and that commands and answers come back as they went."""

from __future__ import annotations

import pytest

from bus.pipeline.command import VALID_MS, Answer, BadCommandError, Redrive, Selection, redrives
from bus.pipeline.open_rejects import REDRIVEN, Entry, Verdict

CODES = Verdict("c.one", "codes", "sex")
DATE = Verdict("c.two", "date", "born")
ENTRY = Entry(7, 1_000, (CODES, DATE))


@pytest.mark.parametrize(
    ("selection", "meant"),
    [
        (Selection(), True),
        (Selection(rule="date"), True),
        (Selection(rule="date", field="born"), True),
        (Selection(rule="date", field="sex"), False),
        (Selection(since=1_000, until=1_001), True),
        (Selection(since=1_001), False),
        (Selection(until=1_000), False),
        (Selection(key="k"), True),
        (Selection(key="other"), False),
    ],
)
def test_a_selection_means_what_it_names(selection: Selection, meant: bool) -> None:
    assert selection.takes(b"k", ENTRY) is meant


def test_a_verdict_that_is_settled_is_not_meant() -> None:
    settled = Entry(7, 1_000, (CODES, Verdict("c.two", "date", "born", REDRIVEN)))

    assert not Selection(rule="date").takes(b"k", settled)
    assert not Selection(rule="codes").takes(b"k", ENTRY.superseded())


def test_commands_come_back_oldest_first_and_what_cannot_be_read_is_left_out() -> None:
    later = Redrive.new("d.s", Selection(rule="codes", since=5, key="甲"), 20.0, dry_run=True)
    first = Redrive.new("d.s", Selection(), 10.0)
    others = {"x": b"{}", "y": b"no json", "z": b'{"command": "pause"}'}

    assert redrives({later.id: later.encode(), **others, first.id: first.encode()}) == [first, later]


def test_a_command_is_dropped_after_an_hour() -> None:
    command = Redrive.new("d.s", Selection(), 10.0)

    assert command.is_valid(10.0 + VALID_MS / 1000 - 1)
    assert not command.is_valid(10.0 + VALID_MS / 1000)


def test_answers_of_lanes_add_up_and_are_done_when_all_are() -> None:
    one = Answer(10, done=True, partition=1, offset=5, redriven=6, gone=1, rejected={"codes": 3})
    two = Answer(4, superseded=1, rejected={"codes": 1, "date": 1})

    assert Answer.decode(one.encode()) == one
    both = one.plus(two)
    assert (both.matched, both.worked, both.done) == (14, 13, False)
    assert both.rejected == {"codes": 4, "date": 1}


def test_an_answer_that_cannot_be_read_says_so() -> None:
    with pytest.raises(BadCommandError):
        Answer.decode(b'{"lanes": 3}')
