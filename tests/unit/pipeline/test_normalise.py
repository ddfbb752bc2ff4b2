"""Raw records become shared records, tombstones or dead letters; by the schema that each was written with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from bus.catalogue.codelist import CodeList
from bus.catalogue.dataset import Dataset
from bus.catalogue.entity import Entity
from bus.catalogue.mapping import Mapping
from bus.catalogue.workspace import Workspace, default_workspace
from bus.pipeline.codec import Decoders, UnknownSchemaError, decoder, encoder
from bus.pipeline.envelope import envelope_schema
from bus.pipeline.mapping.compiled import compile_mapping
from bus.pipeline.normalise import DatasetNormaliser, EntityOutput, Normalise
from bus.wire import CloudEvent, frame

TEXT = ["null", "string"]
OLD_FIELDS = dict.fromkeys(("sfzh", "xm", "xb", "csrq", "mz", "hjdz", "jzdz", "lxdh", "xzqhdm", "bz"), TEXT) | {
    "gxsj": ["null", {"type": "long", "logicalType": "timestamp-micros"}]
}
PERSON = {
    "sfzh": "32050819900307101X",
    "xm": "王伟",
    "xb": "1",
    "csrq": "19900307",
    "xzqhdm": "320508",
    "gxsj": 1_700_000_000_000_000,
}


def schema(fields: dict[str, Any]) -> dict[str, Any]:
    made = [{"name": name, "type": kind, "default": None} for name, kind in fields.items()]
    return envelope_schema("gongan.population", {"type": "record", "name": "t", "fields": made})


OLD, NEW = schema(OLD_FIELDS), schema(OLD_FIELDS | {"zdrq": TEXT})


@dataclass
class Raw:
    value: bytes | None
    key: bytes | None = b"32050819900307101X"
    topic: str = "raw.gongan.population"
    partition: int = 2
    offset: int = 7

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        return CloudEvent("0/1/1", "raw.gongan.population", "urn:shuniu:t:1:g", "2026-11-22T00:00:00.000000Z").headers()


def change(writer: int, op: str, before: dict[str, Any] | None = None, after: dict[str, Any] | None = None) -> bytes:
    event = {"op": op, "before": before, "after": after, "position": "0/1/1", "time": 0}
    return encoder(writer, OLD if writer == 1 else NEW)(event)


@pytest.fixture(scope="module")
def decoders() -> Decoders:
    made = Decoders()
    made.add(1, OLD)
    made.add(2, NEW)
    made.add(404, None)
    return made


@pytest.fixture(scope="module")
def stage(decoders: Decoders) -> Normalise:
    workspace = Workspace.load(default_workspace())
    (entity,) = workspace.all(Entity)
    (mapping,) = workspace.all(Mapping)
    (dataset,) = workspace.all(Dataset)
    codelists = workspace.named(CodeList)
    output = EntityOutput(
        topic="shared.population.person",
        partitions=8,
        event_type=b"population.person.v1",
        revision=3,
        key_fields=1,
        compile=partial(compile_mapping, mapping, entity, dataset, codelists),
        encode=encoder(9, entity.spec.avro),
    )
    return Normalise({"raw.gongan.population": [DatasetNormaliser("gongan.population", output, decoders)]})


def test_a_good_row_becomes_a_shared_record_with_its_own_id(stage: Normalise) -> None:
    (made,) = stage([Raw(change(1, "c", after=PERSON))])

    headers = dict(made.headers)
    assert (made.topic, made.key) == ("shared.population.person", b"32050819900307101X")
    assert (headers["ce_id"], headers["ce_type"]) == (b"0/1/1/m3", b"population.person.v1")
    assert (made.value or b"").startswith(frame(9))


def test_old_and_new_writers_flow_at_once(stage: Normalise) -> None:
    made = stage([Raw(change(1, "c", after=PERSON)), Raw(change(2, "u", after=PERSON | {"zdrq": "x"}))])

    assert [output.topic for output in made] == ["shared.population.person"] * 2
    assert made[0].value == made[1].value


def test_a_deletion_is_a_tombstone(stage: Normalise) -> None:
    (made,) = stage([Raw(change(1, "d", before=PERSON))])

    assert (made.topic, made.value) == ("shared.population.person", None)


def test_the_deletion_of_a_key_that_its_rules_reject_says_nothing(stage: Normalise) -> None:
    wrong = "320508199003071011"

    assert stage([Raw(change(1, "d", before=PERSON | {"sfzh": wrong}), key=wrong.encode())]) == []


def test_a_row_that_breaks_a_rule_is_a_dead_letter_with_its_bytes_and_reason(stage: Normalise) -> None:
    value = change(1, "c", after=PERSON | {"xm": None})
    (letter,) = stage([Raw(value)])

    headers = dict(letter.headers)
    assert (letter.topic, letter.value, letter.key) == ("dlq.gongan.population", value, b"32050819900307101X")
    assert (headers["bus_reject_rule"], headers["bus_reject_field"]) == (b"required", b"full_name")
    assert headers["bus_reject_origin"] == b"raw.gongan.population/2/7"
    assert headers["ce_id"] == b"0/1/1"


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (frame(404) + b"x", b"k"),
        (b"no frame", b"k"),
        (b"", b"k"),
        (None, b"k"),
        (change(1, "c", after=PERSON), None),
        (change(1, "c", after=PERSON)[:-3], b"k"),
        (change(1, "c"), b"k"),
    ],
)
def test_bytes_that_are_no_change_are_dead_letters(stage: Normalise, value: bytes | None, key: bytes | None) -> None:
    (letter,) = stage([Raw(value, key)])

    assert (letter.topic, letter.value) == ("dlq.gongan.population", value)
    assert dict(letter.headers)["bus_reject_rule"] == b"undecodable"


def test_a_schema_that_is_not_at_hand_is_asked_for(stage: Normalise) -> None:
    with pytest.raises(UnknownSchemaError):
        stage([Raw(frame(77) + b"x")])


def test_the_shared_record_says_what_the_row_says(stage: Normalise) -> None:
    (made,) = stage([Raw(change(1, "c", after=PERSON | {"xm": " 王伟　"}))])
    (entity,) = Workspace.load(default_workspace()).all(Entity)

    record = decoder(entity.spec.avro)(made.value or b"")
    assert (record["id_number"], record["full_name"], record["sex"]) == ("32050819900307101X", "王伟", "1")
