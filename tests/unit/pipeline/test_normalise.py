"""Raw records become shared records, tombstones or dead letters; by the schema that each was written with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from bus.catalogue.codelist import CodeList
from bus.catalogue.dataset import Dataset
from bus.catalogue.entity import Entity
from bus.catalogue.mapping import Mapping
from bus.pipeline import native, normalise
from bus.pipeline.codec import Decoders, UnknownSchemaError, decoder, encoder
from bus.pipeline.envelope import envelope_schema
from bus.pipeline.mapping.compiled import compile_mapping
from bus.pipeline.native.program import compile_mapping_program
from bus.pipeline.normalise import DatasetNormaliser, EntityOutput, Normalise
from bus.pipeline.open_rejects import Entry, OpenRejects, StateKey
from bus.testing.workspaces import population_resources
from bus.wire import MAX_RECORD_BYTES, CloudEvent, frame
from tests.stages import through

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from bus.pipeline.record import Output

pytestmark = pytest.mark.usefixtures("codec")

RAW = "raw.gongan.population"
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
    topic: str = RAW
    partition: int = 2
    offset: int = 7

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        return CloudEvent("0/1/1", "raw.gongan.population", "urn:shuniu:t:1:g", "2026-11-22T00:00:00.000000Z").headers()


class NullHeaders(Raw):
    """As Kafka allows, and no adapter of ours writes."""

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        return [("ce_id", None), ("ce_time", None)]  # type: ignore[list-item]


def change(writer: int, op: str, before: dict[str, Any] | None = None, after: dict[str, Any] | None = None) -> bytes:
    event = {"op": op, "before": before, "after": after, "position": "0/1/1", "time": 0}
    return encoder(writer, OLD if writer == 1 else NEW)(event)


@pytest.fixture
def decoders() -> Decoders:
    made = Decoders()
    made.add(1, OLD)
    made.add(2, NEW)
    made.add(404, None)
    return made


@pytest.fixture
def scope() -> dict[str, Any] | None:
    """Of the dataset; tests set it."""
    return None


@pytest.fixture
def normaliser(decoders: Decoders, scope: dict[str, Any] | None) -> DatasetNormaliser:
    workspace = population_resources()
    (entity,) = workspace.all(Entity)
    (mapping,) = workspace.all(Mapping)
    (dataset,) = workspace.all(Dataset)
    document = dataset.document()
    dataset = Dataset.model_validate(document | {"spec": document["spec"] | {"scope": scope}})
    codelists = workspace.named(CodeList)
    output = EntityOutput(
        topic="shared.population.person",
        partitions=8,
        event_type=b"population.person.v1",
        revision=3,
        key=("sfzh",),
        compile=partial(compile_mapping, mapping, entity, dataset, codelists),
        encode=encoder(9, entity.spec.avro),
        program=partial(compile_mapping_program, mapping, entity, dataset, codelists, 9),
    )
    return DatasetNormaliser("gongan.population", output, decoders)


@pytest.fixture
def stage(normaliser: DatasetNormaliser) -> Normalise:
    return Normalise({RAW: [normaliser]}, OpenRejects(5, [(RAW, 2)]), lambda: 1_700_000_000.0)


def test_a_good_row_becomes_a_shared_record_with_its_own_id(stage: Normalise) -> None:
    (made,) = through(stage, [Raw(change(1, "c", after=PERSON))])

    headers = dict(made.headers)
    assert (made.topic, made.key) == ("shared.population.person", b"32050819900307101X")
    assert (headers["ce_id"], headers["ce_type"]) == (b"0/1/1/m3", b"population.person.v1")
    assert (made.value or b"").startswith(frame(9))


def test_the_reference_is_compiled_for_the_first_record_that_is_left_to_it(
    stage: Normalise, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[dict[str, Any]] = []

    def counted(schema: dict[str, Any], only: Collection[str]) -> Callable[[bytes], Any]:
        compiled.append(schema)
        return decoder(schema, only)

    monkeypatch.setattr(normalise, "decoder", counted)

    through(stage, [Raw(change(1, "c", after=PERSON)), Raw(change(1, "d", before=PERSON))])
    assert compiled == ([] if native.is_used() else [OLD])

    letter, _ = through(stage, [Raw(change(1, "c", after=PERSON)[:-1])])
    assert letter.topic == "dlq.gongan.population"
    assert compiled == [OLD]


def test_old_and_new_writers_flow_at_once(stage: Normalise) -> None:
    made = through(stage, [Raw(change(1, "c", after=PERSON)), Raw(change(2, "u", after=PERSON | {"zdrq": "x"}))])

    assert [output.topic for output in made] == ["shared.population.person"] * 2
    assert made[0].value == made[1].value


def test_a_deletion_is_a_tombstone(stage: Normalise) -> None:
    (made,) = through(stage, [Raw(change(1, "d", before=PERSON))])

    assert (made.topic, made.value) == ("shared.population.person", None)


def test_the_deletion_of_a_key_that_its_rules_reject_says_nothing(stage: Normalise) -> None:
    wrong = "320508199003071011"

    assert through(stage, [Raw(change(1, "d", before=PERSON | {"sfzh": wrong}), key=wrong.encode())]) == []


@pytest.mark.parametrize("scope", [{"field": "sfzh", "prefix": "3205"}])
@pytest.mark.usefixtures("scope")
def test_rows_within_the_scope_of_their_dataset_are_its_to_publish_and_to_delete(
    stage: Normalise, monkeypatch: pytest.MonkeyPatch
) -> None:
    if native.is_used():
        monkeypatch.setattr(normalise, "decoder", None)  # the reference is not needed for what is published
    (made,) = through(stage, [Raw(change(1, "c", after=PERSON))])
    assert made.topic == "shared.population.person"

    monkeypatch.undo()
    for before in (PERSON, None):
        (made,) = through(stage, [Raw(change(1, "d", before=before))])
        assert (made.topic, made.value) == ("shared.population.person", None)


@pytest.mark.parametrize("scope", [{"field": "sfzh", "prefix": "3201"}])
@pytest.mark.usefixtures("scope")
def test_rows_outside_the_scope_of_their_dataset_are_anothers(stage: Normalise) -> None:
    letter, _ = through(stage, [Raw(change(1, "c", after=PERSON))])
    assert dict(letter.headers)["bus_reject_rule"] == b"outside_scope"

    for before in (PERSON, None):
        topics = [made.topic for made in through(stage, [Raw(change(1, "d", before=before))])]
        assert "shared.population.person" not in topics, "it would delete the record of the dataset whose key it is"


@pytest.mark.parametrize("key", [b"32050819900307102X", b"", b"x" * 100_000])
def test_a_row_under_anothers_key_is_not_published_as_that_one(stage: Normalise, key: bytes) -> None:
    letter, _ = through(stage, [Raw(change(1, "c", after=PERSON), key=key)])

    assert letter.topic == "dlq.gongan.population"
    assert b"key is not its row's" in dict(letter.headers)["bus_reject_reason"]


def test_headers_without_a_value_are_as_good_as_absent(stage: Normalise) -> None:
    (made,) = through(stage, [NullHeaders(change(1, "c", after=PERSON))])

    assert dict(made.headers)["ce_id"] == b"/m3"


def test_a_row_that_breaks_a_rule_is_a_dead_letter_with_its_bytes_and_reason(stage: Normalise) -> None:
    value = change(1, "c", after=PERSON | {"xm": None})
    letter, _ = through(stage, [Raw(value)])

    headers = dict(letter.headers)
    assert (letter.topic, letter.value, letter.key) == ("dlq.gongan.population", value, b"32050819900307101X")
    assert (headers["bus_reject_rule"], headers["bus_reject_field"]) == (b"required", b"full_name")
    assert headers["bus_reject_origin"] == b"raw.gongan.population/2/7"
    assert headers["ce_id"] == b"0/1/1"


@pytest.mark.parametrize("length", [MAX_RECORD_BYTES - 1_000, MAX_RECORD_BYTES, 2 * MAX_RECORD_BYTES])
def test_a_record_too_large_for_a_topic_is_a_dead_letter(stage: Normalise, length: int) -> None:
    value = change(1, "c", after=PERSON | {"bz": "x" * length})
    made = through(stage, [Raw(value)])[0]

    headers = dict(made.headers)
    if length < MAX_RECORD_BYTES:
        assert made.topic == "shared.population.person"
    else:
        assert (made.topic, headers["bus_reject_rule"]) == ("dlq.gongan.population", b"too_large")
        assert made.value == (value if length == MAX_RECORD_BYTES else None)


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
    letter = through(stage, [Raw(value, key)])[0]

    assert (letter.topic, letter.value) == ("dlq.gongan.population", value)
    assert dict(letter.headers)["bus_reject_rule"] == b"undecodable"


def test_a_schema_that_is_not_at_hand_is_asked_for(stage: Normalise) -> None:
    with pytest.raises(UnknownSchemaError):
        through(stage, [Raw(frame(77) + b"x")])


def test_the_shared_record_says_what_the_row_says(stage: Normalise) -> None:
    (made,) = through(stage, [Raw(change(1, "c", after=PERSON | {"xm": " 王伟　"}))])
    (entity,) = population_resources().all(Entity)

    record = decoder(entity.spec.avro)(made.value or b"")
    assert (record["id_number"], record["full_name"], record["sex"]) == ("32050819900307101X", "王伟", "1")


def kept(outputs: list[Output]) -> list[tuple[bytes | None, Entry]]:
    """What is to be remembered, key by key."""
    return [(each.key, Entry.decode(each.value or b"")) for each in outputs if each.topic.startswith("_bus.rejects.")]


KEY = b"32050819900307101X"
BAD = change(1, "u", after=PERSON | {"xb": "3"})
GOOD = change(1, "u", after=PERSON)


def test_a_reject_opens_an_entry_for_its_key_that_holds_no_value(stage: Normalise) -> None:
    letter, state = through(stage, [Raw(BAD)])

    assert dict(letter.headers)["bus_reject_entity"] == b"population.person"
    assert (state.topic, state.partition) == ("_bus.rejects.gongan", 5)
    assert state.key == b"gongan.population/2/" + KEY
    told = json.loads(state.value or b"")
    verdict = {"entity": "population.person", "rule": "codes", "field": "sex", "state": "open"}
    assert told == {"offset": 7, "time": 1_700_000_000_000, "rejects": [verdict]}


@pytest.mark.parametrize("later", [GOOD, change(1, "d", before=PERSON)])
def test_a_later_good_change_or_deletion_supersedes_it_once(stage: Normalise, later: bytes) -> None:
    through(stage, [Raw(BAD)])
    record, state = through(stage, [Raw(later, offset=8)])

    assert record.topic == "shared.population.person"
    ((_, entry),) = kept([state])
    assert (entry.offset, [verdict.state for verdict in entry.verdicts]) == (7, ["superseded"])
    assert len(through(stage, [Raw(later, offset=9)])) == 1, "nothing is written of a key with nothing open"


def test_of_several_rejects_of_a_key_the_newest_counts(stage: Normalise) -> None:
    made = through(stage, [Raw(BAD), Raw(change(1, "u", after=PERSON | {"xm": None}), offset=8)])

    ((key, entry),) = kept(made)
    assert key is not None
    assert (entry.offset, entry.open[0].rule) == (8, "required")
    assert [each.topic for each in made[:2]] == ["dlq.gongan.population"] * 2


def test_a_reject_and_its_remedy_in_one_batch_leave_nothing_open(stage: Normalise) -> None:
    ((_, entry),) = kept(through(stage, [Raw(BAD), Raw(GOOD, offset=8)]))

    assert (entry.offset, entry.open) == (7, [])
    assert kept(through(stage, [Raw(GOOD, offset=9)])) == []


def test_a_record_without_a_key_opens_nothing(stage: Normalise) -> None:
    assert len(through(stage, [Raw(GOOD, key=None)])) == 1


def test_a_call_that_lacked_a_schema_changes_nothing_and_is_made_again(
    normaliser: DatasetNormaliser, decoders: Decoders
) -> None:
    rejects = OpenRejects(5, [(RAW, 2)])
    stage = Normalise({RAW: [normaliser]}, rejects)
    through(stage, [Raw(BAD)])
    records = [Raw(GOOD, offset=8), Raw(frame(78) + GOOD[5:], offset=9)]
    with pytest.raises(UnknownSchemaError):
        through(stage, records)
    decoders.add(78, OLD)

    assert [entry.open for _, entry in kept(through(stage, records))] == [[]]


def test_the_next_owner_of_a_lane_remembers_what_is_open_of_its_partitions(normaliser: DatasetNormaliser) -> None:
    rejects = OpenRejects(5, [(RAW, 2)])
    stage = Normalise({RAW: [normaliser]}, rejects)
    written = [
        *through(stage, [Raw(BAD)]),
        *through(stage, [Raw(BAD, key=b"k2", offset=8)]),
        *through(stage, [Raw(GOOD, offset=9)]),
    ]
    states = [each for each in written if each.topic.startswith("_bus.rejects.")]

    heir, other = OpenRejects(5, [(RAW, 2)]), OpenRejects(5, [(RAW, 1)])
    for each in states:
        heir.take(each.key or b"", each.value)
        other.take(each.key or b"", each.value)
    assert heir.entries == rejects.entries
    assert list(heir.entries[RAW, 2]) == [b"k2"]
    assert other.entries == {(RAW, 1): {}}


@pytest.mark.parametrize("key", [b"plain", b"with/slash", '["甲","乙"]'.encode(), b"\xff\xfe", b""])
def test_any_key_can_be_remembered(key: bytes) -> None:
    state = StateKey("gongan.population", 3, key)
    assert StateKey.decode(state.encode()) == state
