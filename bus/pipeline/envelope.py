"""The change envelope: the value of every `raw.<dept>.<dataset>` record."""

from __future__ import annotations

from typing import Any, Final

OPS: Final = ["c", "u", "d", "r"]


def envelope_schema(dataset: str, row: dict[str, Any]) -> dict[str, Any]:
    """The Avro schema of a dataset's changes, around the schema of its rows.

    Args:
        dataset: `<dept>.<dataset>`.
        row: Avro schema of a row, a record; its name is replaced by `Row`.
    """
    row = {**row, "name": "Row"}
    row.pop("namespace", None)
    return {
        "type": "record",
        "name": "Change",
        "namespace": f"raw.{dataset}".replace("-", "_"),  # a resource may be called what an Avro name may not
        "doc": "A change of one row of the source.",
        "fields": [
            {
                "name": "op",
                "type": {"type": "enum", "name": "Op", "symbols": OPS},
                "doc": "c created, u updated, d deleted, r read in a snapshot",
            },
            {"name": "before", "type": ["null", row], "default": None, "doc": "the row before, as far as it is known"},
            {"name": "after", "type": ["null", "Row"], "default": None, "doc": "the row after; null for d"},
            {"name": "position", "type": "string", "doc": "unit and row in the source"},
            {"name": "transaction", "type": ["null", "string"], "default": None, "doc": "the source's transaction id"},
            {"name": "last", "type": "boolean", "default": False, "doc": "the last change of its transaction here"},
            {
                "name": "time",
                "type": {"type": "long", "logicalType": "timestamp-micros"},
                "doc": "commit time at the source",
            },
        ],
    }


def row_schema(envelope: dict[str, Any]) -> dict[str, Any]:
    """The schema of the rows inside an envelope's schema.

    Raises:
        ValueError: not an envelope.
    """
    for field in envelope.get("fields", ()):
        if field["name"] == "before" and isinstance(field["type"], list):
            found: dict[str, Any] = field["type"][1]
            return found
    raise ValueError("the schema is not a change envelope")
