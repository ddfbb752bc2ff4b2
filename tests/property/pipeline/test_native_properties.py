"""What the native interpreter finishes, the reference makes byte for byte; what the reference refuses, it gives up."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.bench import events
from bus.catalogue.codelist import CodeList
from bus.catalogue.dataset import Dataset
from bus.catalogue.entity import Entity
from bus.catalogue.mapping import Mapping
from bus.pipeline import native
from bus.pipeline.codec import UnknownSchemaError, encoder
from bus.pipeline.envelope import envelope_schema
from bus.pipeline.native.program import compile_mapping_program
from bus.pipeline.normalise import Normalise
from bus.pipeline.open_rejects import OpenRejects
from bus.pipeline.record import one_by_one
from bus.testing.workspaces import population_resources
from tests.property.pipeline.native_mappings import RAW, SHARED_ID, WRITER, Raw, World, records, worlds
from tests.property.pipeline.native_values import cases, damages, needs_native
from tests.stages import fetched, through

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bus.pipeline.normalise import DatasetNormaliser
    from bus.pipeline.record import Output


def test_the_native_interpreter_is_there_where_there_is_a_compiler() -> None:
    """All other tests of it are skipped without it, so here its absence is noticed."""
    if shutil.which("cc") is None and not native.is_built():
        pytest.skip("no C compiler, so the bus runs its reference")
    assert native.is_built()


def _made(normaliser: DatasetNormaliser, records: Sequence[Any]) -> Any:
    """What becomes of records, or which schema is not at hand."""
    try:
        made, rejects = normaliser.normalised(records)
    except UnknownSchemaError as error:
        return error.schema_id
    return list(one_by_one(made)), rejects


def _hold_rows(world: World, data: st.DataObject) -> None:
    normaliser = world.normaliser()
    for record in data.draw(st.lists(records(world), min_size=1, max_size=5)):
        assert record.value is not None
        values = [record.value, *(damage(record.value) for damage in data.draw(st.lists(damages(), max_size=4)))]
        for value in values:
            each = Raw(record.key, value, headers=record.headers)
            assert _made(normaliser, fetched([each])) == _made(normaliser, [each])


@needs_native
@cases(200)
@given(worlds(), st.data())
def test_what_it_finishes_is_what_the_reference_makes(world: World, data: st.DataObject) -> None:
    _hold_rows(world, data)


@needs_native
@pytest.mark.long
@pytest.mark.timeout(7200)
@cases(20_000)
@given(worlds(), st.data())
def test_what_it_finishes_of_many_more_is_what_the_reference_makes(world: World, data: st.DataObject) -> None:
    _hold_rows(world, data)


def _run(world: World, batches: list[list[Raw]]) -> list[list[Output]]:
    stage = Normalise({RAW: [world.normaliser()]}, OpenRejects(5, [(RAW, 2)]), lambda: 1.0)
    return [sorted(through(stage, batch), key=lambda each: (each.topic, each.partition)) for batch in batches]


@needs_native
@cases(40)
@given(worlds(), st.data())
def test_a_lane_writes_the_same_with_and_without_it(world: World, data: st.DataObject) -> None:
    batches = data.draw(st.lists(st.lists(records(world), min_size=1, max_size=6), min_size=2, max_size=3))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("BUS_CODEC", "reference")
        expected = _run(world, batches)
        environment.delenv("BUS_CODEC")
        assert _run(world, batches) == expected


def _person() -> tuple[native.Interpreter, Callable[[Any], bytes]]:
    """The default workspace's mapping of people: its interpreter, and what encodes the changes."""
    workspace = population_resources()
    (entity,), (mapping,), (dataset,) = workspace.all(Entity), workspace.all(Mapping), workspace.all(Dataset)
    schema = envelope_schema(dataset.name, events.DEMO_ROW)
    codelists = workspace.named(CodeList)
    program = compile_mapping_program(mapping, entity, dataset, codelists, SHARED_ID, WRITER, schema)
    return native.Interpreter(program), encoder(WRITER, schema)


@needs_native
def test_clean_people_are_finished_without_the_reference() -> None:
    interpreter, encode = _person()
    people = [
        (key, encode(event))
        for key, event in events.changes(3_000, events.DEMO_ROW)
        if event["op"] != "d" and len(event["after"]["sfzh"]) == 18
    ]
    finished = sum(interpreter.convert(key, value) is not None for key, value in people)
    assert finished >= 0.9 * len(people) > 2_000


@needs_native
@pytest.mark.parametrize(
    ("broken", "field", "rule"),
    [
        ({"csrq": "20260230"}, "birth_date", "date"),
        ({"xb": "?"}, "sex", "codes"),
        ({"csrq": None, "xb": "?"}, "sex", "codes"),
        ({"lxdh": "1", "xm": " "}, "full_name", "required"),
        ({"xm": "名" * 101}, "full_name", "max_length"),
        ({"lxdh": "1"}, "phone", "pattern"),
        ({"sfzh": "110105194912310020", "lxdh": "1"}, "id_number", "gb11643"),
    ],
)
def test_of_the_rules_that_a_row_breaks_the_first_of_the_mapping_is_told(
    broken: dict[str, Any], field: str, rule: str
) -> None:
    interpreter, encode = _person()
    event = next(event for _, event in events.changes(100, events.DEMO_ROW) if event["op"] == "u")
    row = event["after"] | broken
    assert interpreter.convert(row["sfzh"].encode(), encode(event | {"after": row})) is None
    assert interpreter.broken is not None
    assert (interpreter.broken.field, interpreter.broken.rule) == (field, rule)


@needs_native
def test_what_is_no_matter_of_one_field_has_no_verdict() -> None:
    interpreter, encode = _person()
    key, event = next(each for each in events.changes(100, events.DEMO_ROW) if each[1]["op"] == "u")
    disagreeing = event | {"after": event["after"] | {"csrq": "19491231"}}
    damaged = encode(event) + b"x"
    for each, value in ((key, encode(disagreeing)), (key, damaged), (b"another's", encode(event))):
        assert interpreter.convert(each, value) is None
        assert interpreter.broken is None


@needs_native
def test_a_row_under_a_key_of_the_same_length_is_given_up() -> None:
    interpreter, encode = _person()
    key, event = next(events.changes(1, events.DEMO_ROW))
    others = [key[:place] + bytes([key[place] ^ 1]) + key[place + 1 :] for place in range(len(key))]
    assert [interpreter.convert(other, encode(event)) for other in others] == [None] * len(key)


@needs_native
def test_no_length_leads_it_beyond_the_bytes_that_it_was_given() -> None:
    """A record cut off anywhere is given up, and a huge number anywhere leads nowhere."""
    interpreter, encode = _person()
    key, event = next(events.changes(1, events.DEMO_ROW))
    value = encode(event)
    assert interpreter.convert(key, value) is not None
    assert interpreter.convert(key, value + b"\0") is None
    assert interpreter.convert(key, None) is None  # type: ignore[arg-type]
    for place in range(len(value)):
        begun = value[:place]
        assert interpreter.convert(key, begun) is None
        for huge in (b"\xfe" + b"\xff" * 8 + b"\x01", b"\xfe\xff\xff\xff\x0f", b"\xff" * 11):
            assert interpreter.convert(key, begun + huge + value[place:]) is None
