"""Whatever a row holds: it becomes a record that the shared schema encodes, or a reject that does not tell it."""

from __future__ import annotations

import datetime as dt
from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from bus.catalogue.codelist import CodeList
from bus.catalogue.dataset import Dataset
from bus.catalogue.entity import Entity
from bus.catalogue.mapping import Mapping
from bus.catalogue.view import Mask
from bus.pipeline.mapping.check_digits import id_check_digit
from bus.pipeline.mapping.compiled import compile_mapping
from bus.pipeline.mapping.date_format import date_parser
from bus.pipeline.mapping.mask import compile_mask
from bus.pipeline.mapping.text import compile_steps
from bus.pipeline.reject import Reject
from bus.testing.workspaces import population_resources
from bus.wire import key_text

WORKSPACE = population_resources()
[MAPPING] = WORKSPACE.all(Mapping)
PERSON = WORKSPACE.named(Entity)["population.person"]
SOURCE = WORKSPACE.named(Dataset)["gongan.population"]
TYPES: dict[str, Any] = {"sfzh": "string", "gxsj": {"type": "long", "logicalType": "timestamp-micros"}}
ROW_SCHEMA = {
    "type": "record",
    "name": "row",
    "fields": [{"name": name, "type": TYPES.get(name, ["null", "string"])} for name in SOURCE.spec.fields],
}
COMPILED = compile_mapping(MAPPING, PERSON, SOURCE, WORKSPACE.named(CodeList), ROW_SCHEMA)
PARSED = parse_schema(PERSON.spec.avro)

texts = st.one_of(st.none(), st.text(), st.sampled_from(["1", "男", "01", "320508", "19900307", "1990/3/7", "王芳"]))
birth_dates = st.dates(dt.date(1900, 1, 1), dt.date(2030, 1, 1))
ids = st.builds(lambda d, n: f"320508{d:%Y%m%d}{n:03d}", birth_dates, st.integers(0, 999))
rows = st.fixed_dictionaries(
    {name: texts for name in SOURCE.spec.fields}  # noqa: C420  (strategies are not shared values)
    | {
        "sfzh": st.one_of(st.text(), ids.map(lambda text: text + id_check_digit(text))),
        "gxsj": st.datetimes(dt.datetime(1970, 1, 1), timezones=st.just(dt.UTC)),  # noqa: DTZ001  (it gets the zone)
    }
)


@given(rows)
def test_a_row_becomes_an_encodable_record_or_a_reject(row: dict[str, Any]) -> None:
    made = COMPILED.apply(row)
    if isinstance(made, Reject):
        assert all(value not in made.reason for value in row.values() if isinstance(value, str) and len(value) > 7)
    else:
        schemaless_writer(BytesIO(), PARSED, made)


@given(rows)
def test_the_key_made_from_the_raw_key_alone_is_that_of_the_record(row: dict[str, Any]) -> None:
    made = COMPILED.apply(row)
    if isinstance(made, dict):
        from_raw = COMPILED.entity_key([key_text(row[name]) for name in SOURCE.spec.key])
        assert from_raw == [key_text(made[name]) for name in PERSON.spec.key]


@given(rows)
def test_the_same_row_gives_the_same_answer_again(row: dict[str, Any]) -> None:
    assert COMPILED.apply(row) == COMPILED.apply(dict(row))


@given(birth_dates)
def test_every_date_is_read_back_from_every_form(date: dt.date) -> None:
    parse = date_parser(["YYYYMMDD", "YYYY-MM-DD", "YYYY/M/D", "YYYY年M月D日"])
    year, month, day = date.year, date.month, date.day
    forms = (f"{date:%Y%m%d}", f"{date:%Y-%m-%d}", f"{year}/{month}/{day}", f"{year}年{month}月{day}日")
    assert [parse(text) for text in forms] == [date] * 4


@given(st.lists(st.sampled_from(["trim", "nfkc", "upper", "lower", "squeeze"]), min_size=1, max_size=4), st.text())
def test_steps_do_one_after_the_other_what_each_does_alone(steps: list[str], text: str) -> None:
    whole = compile_steps(steps)
    assert whole is not None
    expected = text
    for step in steps:
        alone = compile_steps([step])
        assert alone is not None
        expected = alone(expected)
    assert whole(text) == expected


@given(st.text(min_size=1), st.integers(0, 5), st.integers(0, 5), st.one_of(st.none(), st.integers(1, 5)))
def test_a_mask_never_shows_a_whole_text(text: str, start: int, end: int, length: int | None) -> None:
    mask = Mask.model_validate({"keep_start": start, "keep_end": end, "length": length, "with": "\x00"})
    hidden = compile_mask(mask)(text.replace("\x00", ""))
    assert not text.replace("\x00", "") or "\x00" in hidden
    assert len(hidden.replace("\x00", "")) <= start + end
