"""pgoutput messages, byte by byte as PostgreSQL's documentation lays them out."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.postgres.pgoutput import (
    POSTGRES_EPOCH_MICROS,
    UNCHANGED,
    Begin,
    Column,
    Commit,
    Relation,
    RowChange,
    Truncate,
    lsn_number,
    lsn_text,
    parse,
)


def values(*texts: str | object | None) -> bytes:
    data = struct.pack(">h", len(texts))
    for text in texts:
        if isinstance(text, str):
            data += b"t" + struct.pack(">i", len(text.encode())) + text.encode()
        else:
            data += b"u" if text is UNCHANGED else b"n"
    return data


ROW = struct.pack(">I", 16_400)


def test_begin_and_commit() -> None:
    assert parse(b"B" + struct.pack(">QqI", 0x16B374D848, 5, 731)) == Begin(
        0x16B374D848, POSTGRES_EPOCH_MICROS + 5, 731
    )
    assert parse(b"C" + struct.pack(">BQQq", 0, 7, 9, 5)) == Commit(7, 9)


def test_a_relation() -> None:
    columns = b"\x01id\0" + struct.pack(">Ii", 20, -1) + "\0姓名\0".encode() + struct.pack(">Ii", 1043, 14)
    data = b"R" + ROW + "public\0人口\0f".encode() + struct.pack(">h", 2) + columns

    found = (Column("id", 20, -1, key=True), Column("姓名", 1043, 14, key=False))
    assert parse(data) == Relation(16_400, "public", "人口", "f", found)


def test_an_insert() -> None:
    assert parse(b"I" + ROW + b"N" + values("1", None, "甲")) == RowChange("I", 16_400, None, False, ["1", None, "甲"])


@pytest.mark.parametrize(
    ("old", "row", "is_key"),
    [(b"", None, False), (b"K" + values("1", None), ["1", None], True), (b"O" + values("1", "x"), ["1", "x"], False)],
)
def test_an_update_with_each_kind_of_old_row(old: bytes, row: list[object] | None, is_key: bool) -> None:
    found = parse(b"U" + ROW + old + b"N" + values("2", UNCHANGED))

    assert found == RowChange("U", 16_400, row, is_key, ["2", UNCHANGED])


@pytest.mark.parametrize(("mark", "is_key"), [(b"K", True), (b"O", False)])
def test_a_deletion(mark: bytes, is_key: bool) -> None:
    assert parse(b"D" + ROW + mark + values("1")) == RowChange("D", 16_400, ["1"], is_key, None)


def test_a_truncation_of_several_tables() -> None:
    assert parse(b"T" + struct.pack(">iB", 2, 1) + struct.pack(">II", 1, 2)) == Truncate((1, 2))


@pytest.mark.parametrize("data", [b"Oorigin", b"Ytype", b"Mmessage"])
def test_messages_of_no_interest(data: bytes) -> None:
    assert parse(data) is None


def test_another_protocol_is_told() -> None:
    with pytest.raises(ValueError, match="unknown replication message 'S'"):
        parse(b"S")


@given(st.integers(0, 2**64 - 1))
def test_an_lsn_comes_back(lsn: int) -> None:
    assert lsn_number(lsn_text(lsn)) == lsn


@given(st.lists(st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
def test_rows_come_back(texts: list[str | None]) -> None:
    found = parse(b"I" + ROW + b"N" + values(*texts))

    assert isinstance(found, RowChange)
    assert found.new == texts
