"""A dead letter is always one that the broker takes, whatever was rejected."""

from __future__ import annotations

import pytest

from bus import wire
from bus.pipeline.dlq import dead_letter, reject_headers

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
    ids=["value", "headers", "key", "all"],
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
