"""A large dump after another one: how long its comparison takes, and until its changes are in raw."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

    from bus.bench.copies import Resource

ADAPTER: Final = "bench-dumps"
DATASET: Final = "bench.dumped"
COLUMNS: Final = ("id", "name", "sex", "birth", "address", "phone", "division", "updated")
POLL_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Dumped:
    """One run.

    Attributes:
        rows: of either dump.
        changes: rows that the second has otherwise than the first.
        first: seconds from the first dump's landing until all of its rows were in raw, durably.
        compared: seconds from the second dump's landing until its first changes were in raw.
        published: seconds from then until all were.
        peak_mb: largest resident size of the adapter's process, MB.
    """

    rows: int
    changes: int
    first: float
    compared: float
    published: float
    peak_mb: float


def resource() -> Resource:
    """The dataset of the dumps."""
    spec = {
        "department": "bench",
        "source": {"adapter": "files", "config": ADAPTER, "name": "people"},
        "key": ["id"],
        "share": {"type": "unconditional"},
        "update": {"within": "1d"},
    }
    return {"kind": "Dataset", "metadata": {"name": DATASET, "title": "bench"}, "spec": spec}


def _configuration(folder: Path) -> dict[str, Any]:
    """What the adapter is told."""
    dataset = {"files": "people_*.csv", "columns": list(COLUMNS), "key": ["id"], "max_deletion_share": 1.0}
    return {"folder": str(folder), "ready": "rename", "poll_seconds": POLL_SECONDS, "datasets": {"people": dataset}}


def drop(folder: Path, number: int, rows: int, changes: int) -> Path:
    """The dump of that number, of which so many rows tell the number itself; it gets its name when it is whole."""
    part = folder / f"people_{number}.part"
    with part.open("w", encoding="utf-8") as file:
        file.write(",".join(COLUMNS) + "\n")
        for row in range(rows):
            phone = f"139{number if row < changes else 0:04}{row % 10_000:04}"
            file.write(
                f"{row:018},居民{row % 9_973},{row % 2 + 1},{1940 + row % 80}0{row % 9 + 1}15,"
                f"江苏省苏州市姑苏区人民路{row % 3_000}号,{phone},320508,2026-01-01T00:00:00+08:00\n"
            )
    return part.rename(part.with_suffix(".csv"))


def write_configuration(file: Path, folder: Path) -> None:
    """A file for `bus adapter run`; JSON is YAML."""
    file.write_text(json.dumps(_configuration(folder), ensure_ascii=False), encoding="utf-8")
