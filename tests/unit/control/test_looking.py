"""What an onlooker makes of offsets and single records: rates, backlogs, rejects."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

from bus.control import tails
from bus.control.backlogs import Backlogs, Extents, Reader
from bus.control.dead_letters import DeadLetters
from bus.control.tails import Tails
from bus.kafka.survey import Glimpse, Span
from bus.pipeline.dlq import reject_headers
from bus.wire import Header, timestamp

RAW = ("raw.a.b", 0)
READER = Reader("_bus.normalise", "raw.a.b")
DLQ = ("dlq.a.b", 0)


@dataclass
class Kept:
    """A record as a consumer hands it over; `at` is when it came, `source` when the source committed it."""

    offset: int
    at: float = 1_000.0
    source: float = 990.0
    headers: list[Header] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.timestamp = self.at * 1000
        self.headers = [*self.headers, ("ce_time", timestamp(int(self.source * 1e6)).encode())]


def look(tails: Tails, end: int, *records: Kept) -> tuple[dict[tuple[str, int], Span], int]:
    """One look at the topic that ends there: what was to be read, and how many records came."""
    spans = tails.spans({RAW: end})
    glimpses = {place: Glimpse(list(records), whole=True) for place in spans}
    return spans, tails.take({RAW: end}, spans, glimpses)["raw.a.b"].come


def test_records_are_counted_and_marks_of_transactions_are_not() -> None:
    tails = Tails()
    assert look(tails, 4, Kept(0), Kept(2)) == ({RAW: Span(0, 4, 50)}, 0)  # what came before the first look is no rate
    assert look(tails, 10, Kept(4), Kept(6), Kept(8)) == ({RAW: Span(4, 10, 100)}, 3)
    assert look(tails, 10) == ({}, 0)


def test_of_many_records_the_newest_are_read_and_the_rest_is_estimated() -> None:
    tails = Tails()
    look(tails, 0)
    every_second = [Kept(offset) for offset in range(950, 1_000, 2)]

    spans, come = look(tails, 1_000, *every_second)

    assert spans == {RAW: Span(950, 1_000, 50)}
    assert come == 500


def test_the_newest_record_tells_how_long_the_way_was() -> None:
    tails = Tails()
    spans = tails.spans({RAW: 3})
    tail = tails.take({RAW: 3}, spans, {RAW: Glimpse([Kept(0, 1_000, 990), Kept(1, 1_003, 1_002.5)], whole=True)})
    assert (tail["raw.a.b"].newest, tail["raw.a.b"].latency) == (1_002.5, 0.5)


def test_a_topic_made_anew_under_its_name_is_looked_at_anew() -> None:
    tails = Tails()
    look(tails, 500, Kept(499))
    assert look(tails, 3, Kept(0)) == ({RAW: Span(0, 3, 50)}, 0)


def backlog(backlogs: Backlogs, committed: int, end: int, now: float, *records: Kept) -> tuple[int, float, int]:
    """Lag, how long unmoved, and what was taken, at one look."""
    offsets = {READER: {RAW: committed}}
    for turn in backlogs.questions(offsets, {RAW: end}):
        backlogs.learn(turn, {RAW: Glimpse(list(records), whole=True)})
    found = backlogs.take(offsets, Extents({RAW: 0}, {RAW: end}), now)[READER]
    return found.lag, found.unmoved, found.taken


def test_a_mark_behind_the_committed_offset_is_no_lag_and_is_read_once() -> None:
    backlogs = Backlogs()
    assert backlog(backlogs, 5, 6, 0.0) == (0, 0.0, 0)
    assert backlogs.questions({READER: {RAW: 5}}, {RAW: 6}) == []
    assert backlog(backlogs, 5, 6, 60.0) == (0, 0.0, 0), "it stands still because there is nothing to take"


def test_a_reader_that_stands_still_with_records_before_it_is_timed_until_it_moves() -> None:
    backlogs = Backlogs()
    assert backlog(backlogs, 5, 9, 10.0, Kept(5), Kept(7)) == (2, 0.0, 0)
    assert backlog(backlogs, 5, 12, 14.0, Kept(5), Kept(7), Kept(9)) == (3, 4.0, 0)
    assert backlog(backlogs, 8, 12, 15.0, Kept(9)) == (1, 0.0, 3)


def test_the_oldest_record_that_waits_is_known() -> None:
    backlogs = Backlogs()
    offsets = {READER: {RAW: 5}}
    (turn,) = backlogs.questions(offsets, {RAW: 9_000})
    assert turn == {RAW: Span(5, 9_000, 1)}, "of a long backlog only the first is read"
    backlogs.learn(turn, {RAW: Glimpse([Kept(5, 1_000, 990)], whole=False)})
    found = backlogs.take(offsets, Extents({RAW: 0}, {RAW: 9_000}, {"raw.a.b": 0.5}), 0.0)[READER]
    assert (found.since, found.source_time) == (1_000, 990)
    assert found.lag == 4_498, "the topic's last records stood between as many marks"


def test_an_offset_that_is_missing_or_lies_before_the_log_is_told() -> None:
    places = {("raw.a.b", number): 10 for number in range(3)}
    offsets = {READER: {("raw.a.b", 0): 10, ("raw.a.b", 1): 3}}
    extents = Extents({("raw.a.b", 1): 4}, places)
    assert Backlogs().take(offsets, extents, 0.0)[READER].missing == (1, 2)


def test_two_groups_at_different_places_of_a_topic_are_asked_for_in_turns() -> None:
    other = Reader("portal", "raw.a.b")
    turns = Backlogs().questions({READER: {RAW: 5}, other: {RAW: 7}}, {RAW: 9})
    assert turns == [{RAW: Span(5, 9, 100)}, {RAW: Span(7, 9, 100)}]


def rejected(offset: int, at: float) -> Kept:
    return Kept(offset, at, headers=reject_headers("normalise", "date", "csrq", "is no date", "raw.a.b/0/7"))


def test_the_latest_rejects_are_told_without_what_they_hold() -> None:
    letters = DeadLetters()
    spans = letters.spans({DLQ: 0}, {DLQ: 4, RAW: 9})
    assert spans == {DLQ: Span(0, 4, 2_000)}
    letters.take({DLQ: 4}, {DLQ: Glimpse([rejected(0, 1.0), rejected(2, 2.0)], whole=True)})
    assert letters.spans({DLQ: 0}, {DLQ: 4}) == {}, "what was read once is not read again"
    newest, older = letters.latest
    assert (newest.time, older.time) == (2.0, 1.0)
    assert (newest.dataset, newest.rule, newest.field, newest.reason) == ("a.b", "date", "csrq", "is no date")
    assert (newest.where, newest.offset) == ("raw.a.b/0/7", 2)


def test_of_a_long_list_of_rejects_the_newest_are_read() -> None:
    assert DeadLetters().spans({DLQ: 0}, {DLQ: 10_000}) == {DLQ: Span(8_000, 10_000, 2_000)}


def test_rejects_whose_retention_has_passed_are_no_longer_told() -> None:
    letters = DeadLetters()
    letters.spans({DLQ: 0}, {DLQ: 2})
    letters.take({DLQ: 2}, {DLQ: Glimpse([rejected(0, 1.0), rejected(1, 2.0)], whole=True)})
    assert letters.spans({DLQ: 1}, {DLQ: 2}) == {DLQ: Span(1, 2, 2_000)}
    letters.take({DLQ: 2}, {DLQ: Glimpse([rejected(1, 2.0)], whole=True)})
    assert [reject.offset for reject in letters.latest] == [1]


def test_a_record_whose_source_time_has_no_value_has_none() -> None:
    assert tails.source_time(SimpleNamespace(headers=[("ce_time", None)])) is None
