"""PostgreSQL's COPY: the compiled reader finds what the readers in Python find, or leaves the row to them."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import nanoarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.postgres import native
from adapters.postgres.copy_out import CopiedRows, texts_of
from adapters.postgres.tables import Table, make_column
from adapters.postgres.types import PgType
from bus.spi import ColumnChanges, RowChanges

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.skipif(native.buffers is None, reason="nothing is compiled here")

ODD = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


def _fraction(text: str) -> str:
    """As the server writes it: without noughts at its end."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def _moment(at: dt.datetime, zone: str = "") -> str:
    return _fraction(f"{at:%H:%M:%S.%f}").join((f"{at.date().isoformat()} ", zone))


DATES = st.dates() | st.sampled_from([dt.date(1, 1, 1), dt.date(9999, 12, 31), dt.date(2000, 2, 29)])
TEXTS: dict[str, tuple[int, st.SearchStrategy[str]]] = {
    "text": (-1, ODD),
    "bool": (-1, st.sampled_from("tf")),
    "int4": (-1, st.integers(-(2**31), 2**31 - 1).map(str)),
    "int8": (-1, (st.integers(-(2**63), 2**63 - 1) | st.integers(-9, 9)).map(str)),
    "float4": (-1, st.floats(width=32, allow_nan=False).map(lambda value: f"{value:.9g}".replace("inf", "Infinity"))),
    "float8": (-1, st.floats(allow_nan=False).map(lambda value: repr(value).replace("inf", "Infinity"))),
    "numeric": ((12 << 16 | 2) + 4, st.integers(-(10**12) + 1, 10**12 - 1).map(lambda n: f"{Decimal(n).scaleb(-2)}")),
    "date": (-1, DATES.map(dt.date.isoformat)),
    "time": (-1, st.times().map(lambda at: _fraction(f"{at:%H:%M:%S.%f}"))),
    "timestamp": (-1, st.datetimes().map(_moment)),
    "timestamptz": (-1, st.datetimes().map(lambda at: _moment(at, "+00"))),
    "uuid": (-1, st.uuids().map(str)),
    "bytea": (-1, st.binary(max_size=8).map(lambda value: f"\\x{value.hex()}")),
}
RARE = st.sampled_from(
    ["infinity", "-infinity", "NaN", "0044-03-15 BC", "20000-01-01", "24:00:00", "2026-02-30", "", "-", "1.", "\\N"]
)
KINDS = st.lists(st.sampled_from(list(TEXTS)), min_size=1, max_size=6)


def table_of(kinds: Sequence[str]) -> Table:
    columns = tuple(
        make_column(PgType(kind), f"c{place}", TEXTS[kind][0], not_null=False, doc="")
        for place, kind in enumerate(kinds)
    )
    return Table(1, "public", "t", "d", columns, (), readable=True, owned=True, partitioned=False, doc="")


def copied(texts: Sequence[str | None]) -> memoryview:
    """A row as the server sends it."""
    escapes = str.maketrans(
        {"\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
    )
    parts = ["\\N" if text is None else text.translate(escapes) for text in texts]
    return memoryview("\t".join(parts).encode() + b"\n")


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str | None]]]:
    kinds = draw(KINDS)
    value = [st.none() | TEXTS[kind][1] | (TEXTS[kind][1] | RARE | ODD) for kind in kinds]
    return kinds, draw(st.lists(st.tuples(*value).map(list), min_size=1, max_size=9))


def both(kinds: Sequence[str], rows: Sequence[Sequence[str | None]]) -> tuple[list[Any], list[Any]]:
    """The rows by columns (None for one that these leave) and by the readers in Python."""
    changes = CopiedRows(table_of(kinds)).changes([copied(row) for row in rows], 1)
    assert isinstance(changes, ColumnChanges)
    decimals = [place for place, kind in enumerate(kinds) if kind == "numeric"]
    rows_told = nanoarrow.Array(changes.columns).to_pylist()
    told = [None if row is None else [row[str(place)] for place in range(len(kinds))] for row in rows_told]
    for place in decimals:  # which nanoarrow reads without their signs
        for row, value in zip(told, _decimals(nanoarrow.c_array(changes.columns).child(place)), strict=True):
            if row is not None:
                row[place] = value
    change_rows = [change.after or {} for change in changes]
    return told, [list(row.values()) for row in change_rows]


def _decimals(array: Any) -> list[Decimal | None]:
    view = nanoarrow.Array(array)
    packed = bytes(view.buffers[1])
    values = [int.from_bytes(packed[at : at + 16], "little", signed=True) for at in range(0, len(packed), 16)]
    nulls = [value is None for value in nanoarrow.Array(_bits_of(array)).to_pylist()]
    return [None if null else Decimal(value).scaleb(-2) for value, null in zip(values, nulls, strict=True)]


def _bits_of(array: Any) -> Any:
    """Only its nulls: a column of bytes, all of nothing."""
    valid, offsets = nanoarrow.Array(array).buffers[0], bytes(4 * (array.length + 1))
    return nanoarrow.c_array_from_buffers(nanoarrow.binary(), array.length, [valid, offsets, b""])


@given(tables())
def test_columns_hold_what_the_readers_in_python_find(told: tuple[list[str], list[list[str | None]]]) -> None:
    kinds, rows = told
    by_columns, by_readers = both(kinds, rows)
    for found, expected in zip(by_columns, by_readers, strict=True):
        if found is not None:
            assert repr([str(value) if isinstance(value, uuid.UUID) else value for value in expected]) == repr(
                [
                    value.replace(tzinfo=dt.UTC) if isinstance(value, dt.datetime) and value.tzinfo else value
                    for value in found
                ]
            )


@given(st.lists(st.none() | ODD, min_size=1, max_size=5))
def test_texts_come_out_of_copys_form_as_they_went_in(texts: list[str | None]) -> None:
    assert list(texts_of(copied(texts))) == texts


@pytest.mark.parametrize("kind", list(TEXTS))
@given(data=st.data())
def test_usual_values_are_not_left_to_the_readers(kind: str, data: st.DataObject) -> None:
    value = data.draw(TEXTS[kind][1].filter(lambda text: len(text) <= 18 or kind != "int8"))
    told, _ = both([kind], [[value]])
    assert told[0] is not None


@pytest.mark.parametrize("line", [b"", b"\n", b"1\t2\t3\n", b"1\n", b"1\t2", b"1\t\\", b"1\t\\\n", b"\t\t\n"])
def test_a_row_that_is_none_is_left(line: bytes) -> None:
    assert native.buffers is not None
    valid, _ = native.buffers([("number", 0), ("text", 0)], [memoryview(line), memoryview(b"1\ta\n")])
    assert valid == bytes([0b10 | (line == b"1\t\\\n")])


def test_a_table_with_an_array_is_read_by_rows() -> None:
    column = make_column(PgType("_int4", element=PgType("int4")), "c", -1, not_null=False, doc="")
    table = Table(1, "public", "t", "d", (column,), (), readable=True, owned=True, partitioned=False, doc="")
    (change,) = changes = CopiedRows(table).changes([copied(["{1,2}"])], 7)
    assert isinstance(changes, RowChanges)
    assert (change.after, change.row) == ({"c": [1, 2]}, 7)


def test_a_table_without_columns_has_rows_of_nothing() -> None:
    changes = CopiedRows(table_of([])).changes([copied([]), copied([])], 1)
    assert [(change.after, change.row) for change in changes] == [({}, 1), ({}, 2)]


def test_a_text_that_is_no_utf_8_leaves_its_row_to_the_dead_letters() -> None:
    changes = CopiedRows(table_of(["text", "int4", "date"])).changes([memoryview(b"\xff\\\\\t1\t\xff\n")], 1)
    assert changes[0].after == {"c0": b"\xff\\", "c1": 1, "c2": b"\xff"}


def test_a_number_beyond_doubles_is_read_as_python_reads_it() -> None:
    told, expected = both(["float8"], [["1e400"]])
    assert told == expected == [[math.inf]]


def test_infinity_is_a_double() -> None:
    told, expected = both(["float8"], [["Infinity"]])
    assert told == expected == [[math.inf]]
