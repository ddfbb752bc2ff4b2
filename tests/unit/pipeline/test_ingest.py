"""Changes become raw records; what is durable already is not put out again, wherever the cut was."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bus.kafka.partitions import partition_of
from bus.pipeline.codec import decoder, encoder
from bus.pipeline.dlq import LEFT_OUT
from bus.pipeline.envelope import envelope_schema
from bus.pipeline.ingest import Ingest, RawDataset
from bus.pipeline.native.encoding import change_encoder
from bus.spi import Batch, Change, Op, Position, Row
from bus.wire import MAX_RECORD_BYTES

if TYPE_CHECKING:
    from bus.pipeline.record import Output

SCHEMA = envelope_schema(
    "a.b",
    {
        "type": "record",
        "name": "t",
        "fields": [
            {"name": "id", "type": ["null", "long"]},
            {"name": "key", "type": ["null", "string"]},
            {"name": "note", "type": ["null", "string"], "default": None},
        ],
    },
)
DECODE = decoder(SCHEMA)


@pytest.fixture(params=["native", "reference"], autouse=True)
def codec(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test with the compiled code, where it is built, and without it."""
    monkeypatch.setenv("BUS_CODEC", request.param)


def ingest(resume_from: Position | None = None, identity: tuple[str, ...] = ("id",)) -> Ingest:
    dataset = RawDataset("a.b", 4, ("key",), identity, "urn:shuniu:t:1:s", encoder(3, SCHEMA))
    return Ingest({"t": replace(dataset, native=change_encoder(dataset, 3, SCHEMA))}, resume_from)


def row(identity: int, key: str | None) -> Row:
    return {"id": identity, "key": key}


def wide(note: str) -> Row:
    return row(1, "k") | {"note": note}


UNIT = [
    Batch("0/A", [Change("t", Op.UPDATE, row(1, "a"), row(1, "b"), 1)], last=False, time=1, transaction="7"),
    Batch("0/A", [Change("t", Op.UPDATE, row(2, "b"), row(2, "a"), 2)], last=False, time=1, transaction="7"),
    Batch("0/A", [Change("t", Op.CREATE, None, row(3, "c"), 3)], last=True, time=1, transaction="7"),
]


def identities(outputs: list[Output]) -> list[tuple[str, bytes | None]]:
    return [(dict(output.headers)["ce_id"].decode(), output.key) for output in outputs]


WHOLE = [("0/A/1d", b"a"), ("0/A/2d", b"b"), ("0/A/1", b"b"), ("0/A/2", b"a"), ("0/A/3", b"c")]


def test_a_unit_is_released_then_claimed_and_its_last_record_says_so() -> None:
    made = ingest()
    outputs = [output for batch in UNIT for output in made.outputs(batch)]

    assert identities(outputs) == WHOLE
    assert [DECODE(output.value or b"")["last"] for output in outputs] == [False] * 4 + [True]
    assert {output.topic for output in outputs} == {"raw.a.b"}
    assert [output.partition for output in outputs] == [partition_of(output.key or b"", 4) for output in outputs]


@pytest.mark.parametrize("taken", range(len(UNIT) + 1))
def test_a_unit_cut_anywhere_and_read_again_is_put_out_once(taken: int) -> None:
    before, position = ingest(), None
    outputs: list[Output] = []
    for batch in UNIT[:taken]:
        outputs += before.outputs(batch)
        position = Position(batch.unit, batch.changes[-1].row, batch.last)
    after = ingest(position)
    outputs += [output for batch in UNIT for output in after.outputs(batch)]

    assert identities(outputs) == WHOLE


def test_the_unit_behind_the_resumed_one_is_put_out_whole() -> None:
    after = ingest(Position("0/A", 3, complete=True))
    for batch in UNIT:
        assert list(after.outputs(batch)) == []
    behind = Batch("0/B", [Change("t", Op.CREATE, None, row(9, "z"), 1)], time=1)

    assert identities(list(after.outputs(behind))) == [("0/B/1", b"z")]


def test_a_moved_key_comes_out_also_when_the_last_batch_is_empty() -> None:
    made = ingest()
    outputs = [output for batch in (*UNIT[:2], Batch("0/A")) for output in made.outputs(batch)]

    assert identities(outputs) == WHOLE[:4]


def test_a_dataset_that_is_emptied_forgets_its_moved_keys() -> None:
    made = ingest()
    outputs = list(made.outputs(UNIT[0]))
    made.restart("t")

    assert identities([*outputs, *made.outputs(Batch("0/A"))]) == [("0/A/1d", b"a")]


@pytest.mark.parametrize(
    ("change", "rule", "key"),
    [
        (Change("t", Op.CREATE, None, row(1, None), 1), b"key", None),
        (Change("t", Op.CREATE, None, {"id": "geheim", "key": "k"}, 1), b"encode", b"k"),
    ],
)
def test_a_change_that_cannot_be_a_record_goes_to_the_dead_letters_whole(
    change: Change, rule: bytes, key: bytes | None
) -> None:
    (letter,) = ingest(identity=()).outputs(Batch("0/A", [change]))

    assert (letter.topic, letter.partition, letter.key) == ("dlq.a.b", 0, key)
    assert dict(letter.headers)["bus_reject_rule"] == rule
    assert b"geheim" not in repr(letter.headers).encode()
    assert str((change.after or {})["id"]).encode() in (letter.value or b"")


def test_a_change_too_large_with_its_row_before_goes_without_it() -> None:
    half = "x" * (MAX_RECORD_BYTES // 2)
    (made,) = ingest(identity=()).outputs(Batch("0/A", [Change("t", Op.UPDATE, wide(half), wide(half), 1)]))

    said = DECODE(made.value or b"")
    assert (made.topic, said["before"], said["after"]["note"]) == ("raw.a.b", None, half)


@pytest.mark.parametrize(("size", "left_out"), [(MAX_RECORD_BYTES, False), (3 * MAX_RECORD_BYTES, True)])
def test_a_row_too_large_for_a_record_is_a_dead_letter_that_a_topic_takes(size: int, *, left_out: bool) -> None:
    (letter,) = ingest(identity=()).outputs(Batch("0/A", [Change("t", Op.CREATE, None, wide("x" * size), 1)]))

    headers = dict(letter.headers)
    assert (letter.topic, letter.key, headers["bus_reject_rule"]) == ("dlq.a.b", b"k", b"too_large")
    assert b"at most 1000000" in headers["bus_reject_reason"]
    assert (letter.value is None, LEFT_OUT in headers) == (left_out, left_out)


def test_changes_of_other_datasets_are_left_alone() -> None:
    assert list(ingest().outputs(Batch("0/A", [Change("other", Op.CREATE, None, row(1, "a"), 1)]))) == []


def test_a_units_last_record_says_so_also_where_changes_of_other_datasets_follow() -> None:
    changes = [
        Change("t", Op.CREATE, None, row(1, "a"), 1),
        Change("t", Op.CREATE, None, row(2, "b"), 2),
        Change("other", Op.CREATE, None, None, 3),
    ]

    outputs = ingest(identity=()).outputs(Batch("0/A", changes, last=True, time=1))

    assert [DECODE(output.value or b"")["last"] for output in outputs] == [False, True]
