"""From bytes to records: what a dirty CSV holds, each bad row with its line, and no good row lost to a bad one."""

from __future__ import annotations

import csv
import io

import pytest

from adapters.files.faults import DumpRefusedError
from adapters.files.records import NULL, Records


def read(data: bytes, *, fields: int = 3, codec: str = "utf-8", quote: str = '"', chunk: int = 1 << 20) -> Records:
    records = Records(io.StringIO(), codec, ",", quote, fields)
    for at in range(0, len(data), chunk):
        records.take(data[at : at + chunk])
    records.take(b"", last=True)
    return records


def rows(records: Records) -> dict[int, list[str | None]]:
    """Good rows by their line, nulls as None; as the engine reads the clean file."""
    assert isinstance(records._sink, io.StringIO)
    found: dict[int, list[str | None]] = {}
    for line in csv.reader(io.StringIO(records._sink.getvalue(), newline="")):
        plain = '"' not in records._sink.getvalue()
        found[int(line[0])] = [None if value == NULL or (plain and not value) else value for value in line[1:]]
    return found


def faults(records: Records) -> list[tuple[int, str]]:
    return [(reject.line, reject.rule) for reject in records.rejects]


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_rows_come_with_their_line_numbers_however_the_file_is_cut(chunk: int) -> None:
    records = read("1,甲,x\r\n2,乙,\r\n3,丙,z".encode(), chunk=chunk)

    assert rows(records) == {2: ["1", "甲", "x"], 3: ["2", "乙", None], 4: ["3", "丙", "z"]}
    assert (records.rows, faults(records)) == (3, [])


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_an_empty_text_in_quotes_is_not_null(chunk: int) -> None:
    records = read(b'1,"",\n2,,"a""b"\n3,"x","line\nbreak"\n4,,""\n', chunk=chunk)

    assert rows(records) == {
        2: ["1", "", None],
        3: ["2", None, 'a"b'],
        4: ["3", "x", "line\nbreak"],
        6: ["4", None, ""],
    }


@pytest.mark.parametrize("chunk", [5, 1 << 20])
def test_a_ragged_row_is_rejected_by_its_line_and_the_others_stay(chunk: int) -> None:
    records = read(b"1,a,x\n2,b\n3,c,y,more\n\n4,d,z\n", chunk=chunk)

    assert sorted(rows(records)) == [2, 6]
    assert faults(records) == [(3, "columns"), (4, "columns")]
    assert [reject.reason for reject in records.rejects] == [
        "line 3: 2 columns; the header has 3",
        "line 4: 4 columns; the header has 3",
    ]


@pytest.mark.parametrize("chunk", [5, 1 << 20])
def test_a_quote_that_is_never_closed_costs_its_own_line_only(chunk: int) -> None:
    good = [f"{number},b,c" for number in range(500)]
    text = "\n".join([*good[:10], '10,"open,c', *good[11:]])

    records = read(text.encode(), chunk=chunk)

    assert faults(records) == [(12, "quotes")]
    assert records.rows == 499


def test_a_quote_inside_a_field_is_just_a_character() -> None:
    assert rows(read(b'1,5" pipe,x\n2,b,y\n')) == {2: ["1", '5" pipe', "x"], 3: ["2", "b", "y"]}


@pytest.mark.parametrize("codec", ["utf-8", "gb18030"])
def test_a_line_that_is_not_of_the_encoding_is_rejected_alone(codec: str) -> None:
    lines = [f"{number},王小明,x".encode(codec) for number in range(6)]
    lines[3] = lines[3].replace("明".encode(codec), "明".encode(codec)[:1])

    records = read(b"\n".join(lines), codec=codec)

    assert faults(records) == [(5, "encoding")]
    assert records.rows == 5


def test_nothing_is_quoted_where_the_configuration_says_so() -> None:
    assert rows(read(b'1,"a,x\n', quote=""))[2] == ["1", '"a', "x"]


def test_a_text_that_ends_as_dos_programs_end_it_has_no_bad_row() -> None:
    assert faults(read(b"1,a,x\r\n2,b,y\r\n\x1a")) == []
    assert faults(read(b"1,a,x\r\n2,b\0,y\r\n")) == [(3, "encoding")]


def test_a_ragged_record_over_several_lines_is_rejected_whole() -> None:
    records = read(b'1,a,x\n2,"b\n3,c,y\n"\n4,d,z\n')

    assert sorted(rows(records)) == [2, 6]
    assert [(reject.line, reject.lines, reject.reason) for reject in records.rejects] == [
        (3, 3, "lines 3-5: 2 columns; the header has 3")
    ]


def test_a_file_without_line_ends_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(DumpRefusedError) as refused:
        read(b"x" * (6 << 20))

    assert "line 2 has no end" in str(refused.value)


@pytest.mark.parametrize("chunk", [4_096, 1 << 20])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("b" * 200_000, "longer than 131072 characters"),
        ("𠮷" * 81_000, "longer than 320000 bytes"),
        ("汉" * 110_000, "longer than 320000 bytes"),
    ],
)
def test_a_row_that_no_broker_would_take_is_rejected_alone(chunk: int, value: str, reason: str) -> None:
    records = read(f"1,a,x\n2,{value},y\n3,c,z\n".encode(), chunk=chunk)

    assert sorted(rows(records)) == [2, 4]
    assert [reject.reason for reject in records.rejects] == [f"line 3: {reason}"]
