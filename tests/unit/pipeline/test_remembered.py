"""What is remembered of records is bounded by bytes, not only by count; what repeats is short, and is remembered."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest

from bus.catalogue.avro_type import field_types
from bus.catalogue.predicate import Predicate
from bus.pipeline import entity_views, native
from bus.pipeline.codec import Decoders
from bus.pipeline.entity_views import ViewSet
from bus.pipeline.native.filter_program import compile_filters
from bus.pipeline.native.nodes import Node
from bus.pipeline.native.program import Instruction, Program
from bus.pipeline.predicate_index import PredicateIndex
from bus.wire import frame
from tests.property.pipeline.native_values import blob, needs_native
from tests.property.pipeline.some_predicates import not_known
from tests.stages import fetched
from tests.unit.pipeline.test_route import DOWNTOWN, FULL, LAKESIDE, district, living_in

if TYPE_CHECKING:
    from collections.abc import Iterable

pytestmark = needs_native


class Field:
    """A field that only the reference can make, and what it was asked to make it of."""

    def __init__(self, made: bytes) -> None:
        self.asked: list[bytes] = []
        self._made = made
        field = Instruction("call", slots=(0,), call=self._make, memo=True)
        row = Node("record", children=(Node("text"),))
        self._interpreter = native.Interpreter(Program(frame(1), frame(2), row, (field,)))

    def _make(self, taken: bytes) -> bytes:
        self.asked.append(taken)
        return self._made

    def convert(self, texts: Iterable[bytes]) -> int:
        """Make the field of each; how many of them the reference was asked for."""
        before = len(self.asked)
        for text in texts:
            assert self._interpreter.convert(b"k", frame(1) + blob(text)) == frame(2) + self._made
        return len(self.asked) - before


def test_a_code_or_a_date_is_made_once() -> None:
    field = Field(b"\x02")
    dates = [
        f"{year}-{month:02}-{day:02}".encode()
        for year in range(1900, 2027)
        for month in range(1, 13)
        for day in range(1, 32)
    ]

    assert field.convert(dates) == len(dates)
    assert field.convert(dates) == 0


def test_a_long_text_is_made_each_time() -> None:
    assert Field(b"\x02").convert([b"x" * 500] * 10) == 10
    assert Field(b"\x02" * 500).convert([b"x"] * 10) == 10


@pytest.mark.parametrize("size", [5, 20, 100])
def test_what_a_field_remembers_has_a_few_megabytes(size: int) -> None:
    field = Field(b"\x02")
    texts = [f"{i:0{size}}".encode() for i in range(100_000)]
    field.convert(texts)

    remembered = len(texts) - field.convert(texts)
    assert 0 < remembered * (size + 1) < 4_000_000
    assert field.convert(texts[:remembered]) == 0


@pytest.fixture
def views(monkeypatch: pytest.MonkeyPatch) -> ViewSet:
    """Two views whose filters only the reference can try."""
    monkeypatch.setattr(native, "filters", lambda *_, **__: None)
    decoders = Decoders()
    decoders.add(5, FULL)
    return ViewSet([district(DOWNTOWN), district(LAKESIDE)], decoders, field_types(FULL))


def test_what_the_reference_finds_by_short_fields_is_remembered(
    views: ViewSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = fetched([living_in(DOWNTOWN), living_in(LAKESIDE), living_in("elsewhere"), living_in("far away " * 100)])
    assert views.hits(records) == [(0,), (1,), (), ()]

    asked = []

    def matches(_: PredicateIndex, record: dict[str, str]) -> tuple[int, ...]:
        asked.append(record["division"])
        return ()

    monkeypatch.setattr(PredicateIndex, "matches", matches)
    assert views.hits(records) == [(0,), (1,), (), ()]
    assert asked == ["far away " * 100]


def test_what_is_remembered_of_long_fields_that_filters_read_takes_no_memory(views: ViewSet) -> None:
    views.hits(fetched([living_in(DOWNTOWN)]))
    tracemalloc.start()
    for first in range(0, 4_000, 400):
        assert not any(views.hits(fetched([living_in(f"{i}" * 1_000) for i in range(first, first + 400)])))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert kept < 3_000_000


def test_what_is_remembered_of_short_fields_that_filters_read_has_an_end(
    views: ViewSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entity_views, "MOST_REMEMBERED", 1_000)
    views.hits(fetched([living_in(DOWNTOWN)]))
    tracemalloc.start()
    for first in range(0, 10_000, 400):
        views.hits(fetched([living_in(f"{i:0200}") for i in range(first, first + 400)]))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert kept < (1_000 + 400) * 450  # with 65,000 that is 30 MB


def test_what_many_filters_find_is_remembered_up_to_an_end() -> None:
    later = [Predicate.model_validate({"field": "division", "range": {"from": f"8{i:02}"}}) for i in range(65)]
    index = PredicateIndex(later, field_types(FULL))
    filters = native.Filters(compile_filters(index, ["division"], FULL))
    kept = []
    tracemalloc.start()
    for first in range(0, 100_000, 1_000):
        contents: list[bytes | None] = [blob(f"{i:0100}".encode()) for i in range(first, first + 1_000)]
        assert not any(filters.hits(contents, not_known))
        kept.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()

    assert 5_000_000 < max(kept) < 30_000_000
    assert min(kept[kept.index(max(kept)) :]) < max(kept) / 2
