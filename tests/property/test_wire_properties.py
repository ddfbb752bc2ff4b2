"""Keys, frames and times come back as what they were; nothing that is not one of them is taken for one."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus import wire

texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(texts, min_size=1, max_size=4))
def test_a_key_comes_back(fields: list[str]) -> None:
    assert wire.decode_key(wire.encode_key(fields), len(fields)) == fields


@given(st.lists(texts, min_size=2, max_size=4), st.lists(texts, min_size=2, max_size=4))
def test_different_fields_make_different_keys(one: list[str], two: list[str]) -> None:
    assert (wire.encode_key(one) == wire.encode_key(two)) == (one == two)


@given(st.binary(max_size=30), st.integers(1, 4))
def test_bytes_that_are_no_key_are_told_as_such(data: bytes, fields: int) -> None:
    try:
        found = wire.decode_key(data, fields)
    except wire.BadKeyError:
        return
    assert len(found) == fields
    assert all(isinstance(text, str) for text in found)


@given(st.integers(0, 2**32 - 1), st.binary(max_size=10))
def test_a_frame_comes_back(schema: int, body: bytes) -> None:
    assert wire.schema_id(wire.frame(schema) + body) == schema


@given(st.binary(max_size=12))
def test_bytes_that_are_no_frame_are_told_as_such(data: bytes) -> None:
    if len(data) >= 5 and data[0] == 0:
        assert wire.schema_id(data) == int.from_bytes(data[1:5], "big")
    else:
        with pytest.raises(wire.BadFrameError):
            wire.schema_id(data)


@given(st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30), timezones=st.just(dt.UTC)))  # noqa: DTZ001
def test_a_time_comes_back_to_the_microsecond(moment: dt.datetime) -> None:
    micros = (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)

    assert wire.micros(wire.timestamp(micros)) == micros


@pytest.mark.parametrize("value", [None, 1.5, [1], {"a": 1}, object()])
def test_what_has_no_one_text_form_cannot_be_in_a_key(value: object) -> None:
    with pytest.raises(wire.BadKeyError):
        wire.key_text(value)


@pytest.mark.parametrize(
    ("source", "bus"), [("urn:shuniu:b:1:s", "b"), ("urn:shuniu:b", ""), ("urn:other:b:1:s", ""), ("", "")]
)
def test_the_bus_of_a_source(source: str, bus: str) -> None:
    assert wire.bus_of(source) == bus


@pytest.mark.parametrize("name", ["", "户籍", "a b", "a/b", "a" * 250])
def test_names_that_kafka_would_not_take(name: str) -> None:
    assert wire.topic_name_faults(name)
    assert not wire.topic_name_faults("raw.gongan.population_2-a")
