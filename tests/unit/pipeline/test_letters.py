"""A dead letter is always one that the broker takes, whatever was rejected."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import pytest

from bus import wire
from bus.kafka.native import IS_BUILT, BatchBuilder, Packed, Records
from bus.pipeline.counts import Tally
from bus.pipeline.dlq import DeadLetters, dead_letter, reject_headers
from bus.pipeline.record import one_by_one
from bus.pipeline.reject import Reject
from tests.property.kafka.batches import Batch, read, read_by_aiokafka, sealed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.pipeline.record import InputRecord

WHY = reject_headers("normalise", "undecodable", "", "it is garbage", "raw.a.b/0/7")
MB = 1_048_576


def test_a_letter_has_the_original_whole() -> None:
    letter = dead_letter("a.b", b"k", b"v", [("x", b"y")], WHY)

    assert (letter.topic, letter.key, letter.value, letter.headers) == ("dlq.a.b", b"k", b"v", [("x", b"y"), *WHY])


@pytest.mark.parametrize(
    ("key", "value", "headers", "left_out"),
    [
        (b"k", b"v" * MB, [("x", b"y")], {"bus_reject_left_out": b"1048576"}),
        (b"k", b"v", [("x", b"h" * MB)], {"bus_reject_left_out_headers": b"1048577"}),
        (b"k", b"v", [("x", b"")] * (MB // 3), {"bus_reject_left_out_headers": b"349525"}),
        (b"k" * 3 * MB, b"v", [], {"bus_reject_left_out_key": b"3145728"}),
        (
            b"k" * MB,
            b"v" * 2 * MB,
            [("x", b"h" * 3 * MB)],
            {
                "bus_reject_left_out_headers": b"3145729",
                "bus_reject_left_out": b"2097152",
                "bus_reject_left_out_key": b"1048576",
            },
        ),
    ],
    ids=["value", "headers", "framing of headers", "key", "all"],
)
def test_what_makes_it_too_large_is_left_out_and_told(
    key: bytes, value: bytes, headers: wire.Headers, left_out: dict[str, bytes]
) -> None:
    letter = dead_letter("a.b", key, value, headers, WHY)

    told = dict(letter.headers)
    assert {name: size for name, size in told.items() if "left_out" in name} == left_out
    assert told["bus_reject_reason"] == b"it is garbage"
    assert wire.record_size(letter.key, letter.value, letter.headers) < wire.MAX_SENT_BYTES + 200
    assert (letter.key is None, letter.value is None, "x" not in told) == (
        "bus_reject_left_out_key" in left_out,
        "bus_reject_left_out" in left_out,
        "bus_reject_left_out_headers" in left_out or not headers,
    )


class Record(NamedTuple):
    """One that was fetched."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: wire.Headers
    topic: str = "raw.a.b"
    partition: int = 3


RECORDS = [
    Record(7, b"k", b"v", [("x", b"y"), ("空", "值".encode())]),
    Record(8, None, b"v", []),
    Record(10, b"k", None, [("x", b"y")] * 130),  # their number takes two bytes then
    Record(11, b"", b"v" * MB, [("x", b"y")]),
    Record(12, b"k", b"v" * (wire.MAX_SENT_BYTES - 150), []),
    Record(13, b"k" * MB, b"v" * MB, [("x", b"h" * MB)]),
]
REJECTS = [Reject("codes", "sex", "is not in the list"), Reject("undecodable", "", "长" * 2_000)]


@pytest.mark.skipif(not IS_BUILT, reason="nothing is compiled here")
def test_letters_of_whole_batches_are_those_of_their_records() -> None:
    by_record, whole = (
        DeadLetters("normalise", "a.b", ("raw.a.b", 3), records)
        for records in (RECORDS, Records.of("raw.a.b", 3, RECORDS))
    )
    for letters in (by_record, whole):
        for place in (0, 1, 2, 2, 3, 4, 5, 0):
            for reject, entity in zip(REJECTS, ("c.one", ""), strict=True):
                letters.add(place, reject, entity)
    assert len([*one_by_one(by_record.made())]) == 16
    assert [*one_by_one(whole.made())] == [*one_by_one(by_record.made())]
    rules = {("a.b", "codes"): 8, ("a.b", "undecodable"): 8}
    assert Tally.of(whole.made()) == Tally.of(by_record.made()) == Tally(Counter({"dlq.a.b": 16}), Counter(rules))


@pytest.mark.skipif(not IS_BUILT, reason="nothing is compiled here")
@pytest.mark.parametrize("headers", [0, 63, 64, 4_420])
def test_what_the_framing_of_headers_makes_too_large_is_so_in_both_ways(headers: int) -> None:
    border = wire.MAX_SENT_BYTES - 5 * headers
    records = [Record(n, b"k", b"v" * (border - n), [("abc", b"")] * headers) for n in range(140, 240)]
    made = []
    for way in (records, Records.of("raw.a.b", 3, records)):
        letters = DeadLetters("normalise", "a.b", ("raw.a.b", 3), way)
        for place in range(len(records)):
            letters.add(place, REJECTS[0], "c.one")
        made.append([*one_by_one(letters.made())])
    assert made[0] == made[1]
    assert {letter.value is None for letter in made[0]} == {False, True}, "the border is among them"


@pytest.mark.skipif(not IS_BUILT, reason="nothing is compiled here")
@pytest.mark.parametrize("name", [b"\xff\xfe", b"abc\xc3", b"\xed\xa0\x80", "空".encode(), b"abc"])
def test_a_header_whose_name_is_no_utf8_is_renamed_since_other_clients_fail_at_it(name: bytes) -> None:
    stand_in = "x" * len(name)
    foreign = Batch([(b"k", b"v", [("y", b"z"), (stand_in, b"z")])], [0]).packed().replace(stand_in.encode(), name)
    letters = DeadLetters("normalise", "a.b", ("raw.a.b", 3), read(sealed(foreign)))
    letters.add(0, REJECTS[0], "c.one")

    sent = BatchBuilder(100_000, 0, False)
    [packed] = letters.made()
    assert isinstance(packed, Packed)
    sent.extend(packed)
    [(_, key, value, headers)] = read_by_aiokafka(bytes(sent._build()))
    assert (key, value) == (b"k", b"v")
    assert [each[0] for each in headers[:2]] == ["y", name.decode("utf-8", "replace")]


@pytest.mark.skipif(not IS_BUILT, reason="nothing is compiled here")
def test_a_record_is_copied_only_where_it_is() -> None:
    records = Records.of("raw.a.b", 3, RECORDS[:1])
    packed = Packed("dlq.a.b", 0)
    for place in (-1, 1):
        with pytest.raises(IndexError):
            records.copy_into(place, packed, b"", 0, 100)
    assert not records.copy_into(0, packed, b"", 0, 5)
    assert (packed.count, records.key(0), records.offset(0)) == (0, b"k", 7)


def test_no_rejects_no_letters() -> None:
    assert DeadLetters("normalise", "a.b", ("raw.a.b", 3), []).made() == []


@pytest.mark.parametrize("theirs", [b"theirs", b"\xff", b"", None])
def test_what_an_original_calls_its_rule_is_not_counted(theirs: bytes | None) -> None:
    header = ("bus_reject_rule", theirs)
    records = [Record(7, b"k", b"v", [header])]  # type: ignore[list-item]  # a foreign one may be null
    ways: list[Sequence[InputRecord]] = [records]
    if IS_BUILT:
        ways.append(Records.of("raw.a.b", 3, records))
    for way in ways:
        letters = DeadLetters("normalise", "a.b", ("raw.a.b", 3), way)
        letters.add(0, REJECTS[0], "c.one")
        assert Tally.of(letters.made()).rejected == Counter({("a.b", "codes"): 1})


def test_a_rule_that_is_no_text_is_counted_too() -> None:
    letter = dead_letter("a.b", b"k", b"v", [], [("bus_reject_rule", b"\xff")])
    assert Tally.of([letter]).rejected == Counter({("a.b", "\ufffd"): 1})
