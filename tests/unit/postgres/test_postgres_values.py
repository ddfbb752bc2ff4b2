"""PostgreSQL's text forms: arrays, names, and what no reader takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.postgres.tables import quoted
from adapters.postgres.types import PgType, UnknownLabelError, array_items, avro_name, column_type

ARRAYS = [
    ("{}", []),
    ("{1,NULL,3}", ["1", None, "3"]),
    ('{"NULL","",a b}', ["NULL", "", "a b"]),
    (r'{"a,b","q\"\\"}', ["a,b", 'q"\\']),
    ("{{1,2},{3,NULL}}", [["1", "2"], ["3", None]]),
    ("[0:1]={甲,乙}", ["甲", "乙"]),
]

NAMES = [("id", "id"), ("姓名", "_x59d3_x540d"), ("a-b", "a_x2db"), ("1st", "_1st"), ("a b", "a_x20b"), ("", "_")]


@pytest.mark.parametrize(("text", "items"), ARRAYS)
def test_arrays(text: str, items: list[object]) -> None:
    assert array_items(text) == items


@given(st.lists(st.none() | st.text()))
def test_an_array_as_postgres_quotes_it_comes_back(items: list[str | None]) -> None:
    def quote(item: str | None) -> str:
        return "NULL" if item is None else '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"'

    assert array_items("{" + ",".join(map(quote, items)) + "}") == items


@pytest.mark.parametrize("text", ["", "1,2", "{1", "{1}x", '{"a', "{1,"])
def test_what_is_no_array_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  any text of it
        array_items(text)


@given(st.text(max_size=20))
def test_garbage_is_a_value_error_and_nothing_else(text: str) -> None:
    try:
        array_items("{" + text)
    except ValueError:
        return


@pytest.mark.parametrize(("column", "name"), NAMES)
def test_names_of_columns(column: str, name: str) -> None:
    assert avro_name(column) == name


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("date", "infinity"),
        ("date", "0044-03-15 BC"),
        ("timestamptz", "-infinity"),
        ("uuid", "x"),
        ("int4", "1.5"),
        ("bytea", "abc"),
    ],
)
def test_a_reader_never_replaces_a_value(kind: str, text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  any text of it
        column_type(PgType(kind), -1, "e").read(text)


def test_a_new_label_is_told_apart_from_a_bad_value() -> None:
    with pytest.raises(UnknownLabelError):
        column_type(PgType("mood", labels=("calm",)), -1, "e").read("busy")


def test_names_in_statements() -> None:
    assert [quoted(name) for name in ("people", "人口", 'a"b', "A")] == ["people", '"人口"', '"a""b"', '"A"']
