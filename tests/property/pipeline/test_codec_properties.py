"""Garbage is a bad record and nothing else: no byte string can make the codec raise what a stage does not expect."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.pipeline.codec import Decoders, UnencodableError, UnknownSchemaError, decoder, encoder
from bus.pipeline.envelope import envelope_schema, row_schema
from bus.pipeline.writer_schema import BadRecordError
from bus.wire import frame

ROW = {
    "type": "record",
    "name": "t",
    "fields": [
        {"name": "id", "type": ["null", "long"], "default": None},
        {"name": "name", "type": ["null", "string"], "default": None},
        {"name": "born", "type": ["null", {"type": "int", "logicalType": "date"}], "default": None},
        {"name": "at", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}], "default": None},
        {
            "name": "sum",
            "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 8, "scale": 2}],
            "default": None,
        },
        {"name": "mood", "type": ["null", {"type": "enum", "name": "mood", "symbols": ["A", "B"]}], "default": None},
        {"name": "no", "type": ["null", {"type": "string", "logicalType": "uuid"}], "default": None},
        {"name": "many", "type": ["null", {"type": "array", "items": ["null", "int"]}], "default": None},
    ],
}
ENVELOPE = envelope_schema("a.b", ROW)
DECODE, ENCODE = decoder(ENVELOPE), encoder(1, ENVELOPE)


def event(row: dict[str, Any] | None) -> dict[str, Any]:
    return {"op": "c", "before": None, "after": row, "position": "0/1/1", "transaction": None, "last": True, "time": 0}


@given(st.binary(max_size=200))
def test_garbage_is_a_bad_record(body: bytes) -> None:
    try:
        found = DECODE(frame(1) + body)
    except BadRecordError:
        return
    assert found["op"] in "cudr"


@given(st.binary(min_size=1, max_size=3), st.integers(0, 100), st.integers(-(2**63), 2**63 - 1), st.text())
def test_a_damaged_record_is_a_bad_record_or_another_record(junk: bytes, at: int, number: int, name: str) -> None:
    row = dict.fromkeys([field["name"] for field in ROW["fields"]]) | {  # type: ignore[index]
        "id": number,
        "name": name.encode("utf-8", "replace").decode(),
    }
    whole = ENCODE(event(row))
    assert DECODE(whole)["after"] == row
    place = 5 + at % (len(whole) - 5)
    try:
        DECODE(whole[:place] + junk + whole[place + len(junk) :])
    except BadRecordError:
        return


def test_a_record_that_is_cut_off_or_has_a_tail_is_bad() -> None:
    whole = ENCODE(event(None))
    for broken in (whole[:-1], whole + b"\0", whole[:5], b""):
        with pytest.raises(BadRecordError):
            DECODE(broken)


@pytest.mark.parametrize("row", [{"id": "x"}, {"born": "infinity"}, {"mood": "C"}, {"sum": "NaN"}, {"id": 2**64}, 7])
def test_a_row_that_does_not_fit_is_unencodable(row: Any) -> None:
    with pytest.raises(UnencodableError) as refused:
        ENCODE(event(row))
    assert "infinity" not in str(refused.value)


def test_a_schema_is_asked_for_once_and_one_that_nobody_has_is_a_bad_record() -> None:
    decoders = Decoders()
    with pytest.raises(UnknownSchemaError) as unknown:
        decoders.decode(9, frame(9))
    assert unknown.value.schema_id == 9
    decoders.add(9, None)
    with pytest.raises(BadRecordError):
        decoders.decode(9, frame(9))
    decoders.add(1, ENVELOPE)
    assert decoders.decode(1, ENCODE(event(None)))["after"] is None


def test_the_row_of_an_envelope() -> None:
    assert [field["name"] for field in row_schema(ENVELOPE)["fields"]] == [f["name"] for f in ROW["fields"]]  # type: ignore[index]
    with pytest.raises(ValueError, match="not a change envelope"):
        row_schema(ROW)
