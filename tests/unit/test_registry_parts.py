"""A schema that spells out to far more than its text is not registered; the bus's workers would refuse it too."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bus.pipeline import codec, writer_schema
from bus.registry import parts
from bus.registry.changes import Changes
from bus.registry.faults import RefusedError
from bus.registry.parsed import ParsedSchemas
from bus.registry.records import Content
from bus.registry.state import RegistryState


def record(name: str, *types: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": f"f{i}", "type": each} for i, each in enumerate(types)]}


def doubled(times: int) -> dict[str, Any]:
    """Records with two fields of the one before, spelled out and by name: each has twice the parts."""
    made = record("R0", "int", "int")
    for i in range(1, times + 1):
        made = record(f"R{i}", made, f"R{i - 1}")
    return made


def registered(schema: dict[str, Any]) -> int:
    state = RegistryState()
    answer, _ = Changes(state, ParsedSchemas(state)).register("s", Content(json.dumps(schema)), normalize=False)
    return answer


def test_it_is_refused_with_the_reason() -> None:
    with pytest.raises(RefusedError, match="spells out to more than 10,000 parts") as refused:
        registered(doubled(15))

    assert refused.value.code == 42201


@pytest.mark.parametrize(
    "schema",
    [
        doubled(8),
        record("Wide", *[["null", "string"]] * 1_600),
        record("Tree", ["null", "Tree"], {"type": "array", "items": "Tree"}, {"type": "map", "values": "Tree"}),
        {"type": "enum", "name": "Long", "symbols": [f"S{i}" for i in range(20_000)]},
    ],
    ids=["named", "wide", "recursive", "enum"],
)
def test_others_are_taken(schema: dict[str, Any]) -> None:
    assert registered(schema) == 1


def test_it_counts_as_the_workers_do() -> None:
    hundred = record("H", *["int"] * 99)
    full = record("Full", hundred, *["H"] * 98, ["null", record("L", *["long"] * 98)])
    assert parts.MAX_PARTS == writer_schema.MOST_PARTS
    assert registered(full) == 1
    codec.decoder(full)

    full["fields"].append({"name": "one", "type": "int"})
    with pytest.raises(RefusedError, match="parts"):
        registered(full)
    with pytest.raises(writer_schema.BadRecordError, match="parts"):
        codec.decoder(full)
