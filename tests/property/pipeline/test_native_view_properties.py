"""What a view shows of a record is the same with the native interpreter and without it, errors included."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.catalogue.view import View
from bus.pipeline import native
from bus.pipeline.codec import decoder
from bus.pipeline.mapping.mask import compile_projection
from bus.pipeline.native.program import compile_view_program
from bus.wire import frame
from tests.property.pipeline.native_mappings import Raw
from tests.property.pipeline.native_values import LEAVES, ODD, cases, damages, named, needs_native
from tests.property.pipeline.native_views import WRITER, Shown, shown, value
from tests.stages import through

if TYPE_CHECKING:
    from collections.abc import Callable

    from bus.pipeline.route import PartitionRouter


def _routed(router: PartitionRouter, records: list[Raw]) -> Any:
    """What becomes of records, or what is wrong with one."""
    try:
        return through(router.live, records)
    except Exception as error:  # noqa: BLE001  projections meet values of older schemas, and may raise anything
        return type(error), str(error)


def _hold_records(some: Shown, data: st.DataObject) -> None:
    native = some.router(some.views)
    reference = some.router([replace(view, program=None) for view in some.views])
    for body in data.draw(st.lists(some.bodies, min_size=1, max_size=5)):
        key = data.draw(st.sampled_from([b"k", "甲".encode(), b"\xff", None]))
        bodies = [body, *(damage(body) for damage in data.draw(st.lists(damages(), max_size=4)))]
        for offset, each in enumerate(bodies):
            record = Raw(key, value(each), offset, [("ce_id", b"1")], "shared.c.e", 3)
            assert _routed(native, [record]) == _routed(reference, [record])
    some_keys = data.draw(st.lists(st.sampled_from([b"k", b"l", b"m"]), max_size=9))
    records = [
        Raw(key, value(data.draw(some.bodies)) if data.draw(st.booleans()) else None, 100 + place, [], "shared.c.e", 3)
        for place, key in enumerate(some_keys)
    ]
    assert _routed(native, records) == _routed(reference, records)


@needs_native
@cases(200)
@given(shown(), st.data())
def test_a_view_shows_the_same_with_and_without_it(some: Shown, data: st.DataObject) -> None:
    _hold_records(some, data)


@needs_native
@pytest.mark.long
@pytest.mark.timeout(7200)
@cases(10_000)
@given(shown(), st.data())
def test_a_view_shows_the_same_with_and_without_it_of_many_more(some: Shown, data: st.DataObject) -> None:
    _hold_records(some, data)


@cache
def _readers(leaf: str, within: str) -> tuple[Callable[[bytes, bytes], bytes | None], Callable[[bytes], Any]]:
    """The native interpreter of a view that does not show a field of that type, and the reference's reader."""
    declared = named(LEAVES[leaf][0], "N")
    declared = {
        "": declared,
        "union": [declared, "null"],
        "array": {"type": "array", "items": ["null", declared]},
        "map": {"type": "map", "values": declared},
        "record": {"type": "record", "name": "R", "fields": [{"name": "a", "type": declared}]},
    }[within]
    fields = [{"name": "f", "type": declared}, {"name": "g", "type": "boolean"}]
    schema = {"type": "record", "name": "c.e", "fields": fields}
    view = View.model_validate({"metadata": {"name": "v"}, "spec": {"entity": "c.e", "revision": 1, "fields": ["g"]}})
    output, _ = compile_projection(schema, view)
    return native.Interpreter(compile_view_program(view, {}, output, 9, WRITER, schema)).convert, decoder(schema)


_WITHIN = {"": b"", "union": b"\0", "array": b"\2\2", "map": b"\2\2k", "record": b""}


def _hold_reading(leaf: str, within: str, encoded: bytes, damage: Callable[[bytes], bytes] = bytes) -> None:
    convert, read = _readers(leaf, within)
    end = b"\0\1" if within in {"array", "map"} else b"\1"
    whole = damage(value(_WITHIN[within] + encoded + end))
    made = convert(b"", whole)
    assert made is None or made == frame(9) + bytes([read(whole)["g"]])


@needs_native
@pytest.mark.parametrize("leaf", sorted(LEAVES))
def test_what_is_none_of_its_type_is_not_read_over(leaf: str) -> None:
    for within in _WITHIN:
        for encoded in ODD:
            _hold_reading(leaf, within, encoded)


@needs_native
@cases(1_000)
@given(st.sampled_from(sorted(LEAVES)), st.sampled_from(sorted(_WITHIN)), damages(), st.data())
def test_what_it_reads_over_the_reference_reads(
    leaf: str, within: str, damage: Callable[[bytes], bytes], data: st.DataObject
) -> None:
    _hold_reading(leaf, within, data.draw(LEAVES[leaf][1] | st.binary(max_size=9)), damage)
