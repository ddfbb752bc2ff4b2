"""Filters are tried by the compiled code, or the reference is told why not; either finds the same."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from bus.catalogue.avro_type import field_types
from bus.catalogue.predicate import Predicate
from bus.pipeline.codec import Decoders, encoder
from bus.pipeline.entity_views import ViewOutput, ViewSet
from bus.pipeline.predicate_index import PredicateIndex
from tests.property.pipeline.native_values import needs_native
from tests.stages import fetched
from tests.unit.pipeline.test_route import Shared

if TYPE_CHECKING:
    from collections.abc import Iterable

pytestmark = needs_native

CENTS = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
SIXTEEN_CENTS = CENTS | {"type": "fixed", "name": "c.Cents", "size": 16}
MILLIS = {"type": "long", "logicalType": "timestamp-millis"}


def schema(**fields: Any) -> dict[str, Any]:
    declared = [{"name": name, "type": each} for name, each in {"id": "string", **fields}.items()]
    return {"type": "record", "name": "p", "fields": declared}


def view_set(entity: dict[str, Any], filters: Iterable[dict[str, Any]], written: dict[str, Any]) -> ViewSet:
    """Views of an entity with these filters; its records were written with another schema of it."""
    decoders = Decoders()
    decoders.add(5, written)
    views = [
        ViewOutput(f"view.v{place}.v1", 1, b"c.p.v1", 1, dict, encoder(7, entity), Predicate.model_validate(each))
        for place, each in enumerate(filters)
    ]
    return ViewSet(views, decoders, field_types(entity))


def hits(views: ViewSet, written: dict[str, Any], *records: dict[str, Any]) -> list[tuple[int, ...]]:
    encode = encoder(5, written)
    return views.hits(fetched([Shared(encode({"id": "k", **record})) for record in records]))


def test_what_filters_read_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(PredicateIndex, "matches")
    written = schema(born={"type": "int", "logicalType": "date"}, town="string")
    old = {"field": "born", "range": {"to": "1970-01-01"}}
    views = view_set(written, [old, {"all": [old, {"field": "town", "prefix": "甲"}]}, {"not": old}], written)

    assert hits(
        views,
        written,
        {"born": 0, "town": "甲乙"},
        {"born": 0, "town": "乙"},
        {"born": 1, "town": "甲"},
    ) == [(0, 1), (0,), (2,)]


@pytest.mark.parametrize(
    ("wanted", "written", "least", "below", "passing", "reason"),
    [
        (CENTS, CENTS, "1.499", Decimal("1.49"), Decimal("1.50"), ""),
        (CENTS, CENTS, "1e-999999999", Decimal(0), Decimal("0.01"), "a decimal of very many places"),
        (CENTS, CENTS, "1e999999999", Decimal("9999999.99"), None, "a decimal of very many places"),
        (SIXTEEN_CENTS, SIXTEEN_CENTS, "1.50", Decimal("1.49"), Decimal("1.50"), "a decimal of fixed size"),
        ("long", "int", 5, 4, 5, "a field of type int"),
        (MILLIS, MILLIS, "1970-01-01T00:00:00.0005Z", 0, 1, "timestamp-millis does not have"),
        ("double", "double", -(2**70), -math.inf, 0.0, ""),
        ("long", "long", 2**70, 2**63 - 1, None, "64 bits"),
    ],
)
def test_what_only_the_reference_knows_is_told_and_found_by_it(  # noqa: PLR0913, PLR0917  a table
    wanted: Any, written: Any, least: Any, below: Any, passing: Any, reason: str
) -> None:
    entity, older = schema(amount=["null", wanted]), schema(amount=["null", written])
    views = view_set(entity, [{"field": "amount", "range": {"from": least}}], older)

    with capture_logs() as told:
        found = hits(views, older, {"amount": below}, {"amount": passing})

    assert found == [(), () if passing is None else (0,)]
    assert [line["event"] for line in told] == (["done by the reference"] if reason else [])
    assert all(reason in line["reason"] for line in told)


def test_a_field_that_an_older_writer_does_not_have_is_null() -> None:
    entity, older = schema(town=["null", "string"]), schema()
    views = view_set(entity, [{"field": "town", "eq": "a"}, {"not": {"field": "town", "eq": "a"}}], older)

    with capture_logs() as told:
        assert hits(views, older, {}) == [(1,)]

    assert "town" in told[0]["reason"]
