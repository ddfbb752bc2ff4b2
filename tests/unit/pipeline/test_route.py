"""A shared record goes out to each view, projected and masked; a tombstone goes out as one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from bus.pipeline.codec import BadRecordError, Decoders, UnknownSchemaError, decoder, encoder
from bus.pipeline.route import EntityRouter, Route, ViewOutput
from bus.wire import CloudEvent, Headers, frame

FULL = {
    "type": "record",
    "name": "p",
    "fields": [{"name": "id", "type": "string"}, {"name": "phone", "type": "string"}],
}
THIN = {"type": "record", "name": "p", "fields": [{"name": "id", "type": "string"}]}


def event() -> Headers:
    return CloudEvent("0/1/1/m1", "c.p.v1", "urn:shuniu:t:1:g", "2026-11-22T00:00:00.000000Z").headers()


@dataclass
class Shared:
    value: bytes | None
    partition: int = 6
    key: bytes | None = b"k"
    topic: str = "shared.c.p"
    offset: int = 0
    headers: Headers = field(default_factory=event)


def whole(record: dict[str, Any]) -> dict[str, Any]:
    return record


def thin(record: dict[str, Any]) -> dict[str, Any]:
    return {"id": record["id"]}


@pytest.fixture
def stage() -> Route:
    decoders = Decoders()
    decoders.add(5, FULL)
    views = [
        ViewOutput("view.whole.v1", 4, b"c.p.v1", 1, whole, encoder(6, FULL)),
        ViewOutput("view.thin.v2", 1, b"c.p.v1", 2, thin, encoder(7, THIN)),
    ]
    return Route({"shared.c.p": EntityRouter(views, decoders)})


def test_each_view_gets_its_own_record_id_and_partition(stage: Route) -> None:
    value = encoder(5, FULL)({"id": "1", "phone": "110"})
    one, two = stage([Shared(value)])

    assert [(each.topic, each.partition, each.key) for each in (one, two)] == [
        ("view.whole.v1", 2, b"k"),
        ("view.thin.v2", 0, b"k"),
    ]
    assert decoder(FULL)(one.value or b"") == {"id": "1", "phone": "110"}
    assert decoder(THIN)(two.value or b"") == {"id": "1"}
    assert [dict(each.headers)["ce_id"] for each in (one, two)] == [b"0/1/1/m1/v1", b"0/1/1/m1/v2"]


def test_a_tombstone_goes_to_every_view(stage: Route) -> None:
    assert [(each.topic, each.value) for each in stage([Shared(None)])] == [
        ("view.whole.v1", None),
        ("view.thin.v2", None),
    ]


def test_a_schema_that_is_not_at_hand_is_asked_for_and_garbage_is_bad(stage: Route) -> None:
    with pytest.raises(UnknownSchemaError):
        stage([Shared(frame(99) + b"x")])
    with pytest.raises(BadRecordError):
        stage([Shared(frame(5) + b"\xff")])
    assert stage([]) == []
