"""A folder where a department drops its dumps, and what the adapter makes of it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from adapters.files import FilesAdapter
from adapters.files.config import FilesConfig
from bus.spi import Op
from bus.testing.reading import Reading, position_after

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bus.spi import Batch, Change, Position

PEOPLE: dict[str, Any] = {
    "files": "people*.csv",
    "key": ["number"],
    "columns": {"编号": "number", "姓名": "name", "年龄": "age"},
    "types": {"age": "long"},
}
HEADER = "编号,姓名,年龄"


def table(rows: Mapping[str, str | None]) -> str:
    """A dump of people by number."""
    return "".join([f"{HEADER}\n", *(f"{number},{name or ''},30\n" for number, name in rows.items())])


class DumpFolder:
    """Drops dumps, and reads them as a bus would."""

    def __init__(self, folder: Path, name: str = "dumps") -> None:
        self.folder = folder
        self.name = name
        self.position: Position | None = None

    def adapter(
        self, *, datasets: Mapping[str, Any] | None = None, ready: str = "rename", **people: Any
    ) -> FilesAdapter:
        told = {"folder": self.folder, "ready": ready, "settle_seconds": 0.3, "poll_seconds": 0.05}
        chosen = {"people": PEOPLE | people} | dict(datasets or {})
        return FilesAdapter(self.name, FilesConfig.model_validate(told | {"datasets": chosen}))

    @property
    def state(self) -> Path:
        return self.folder / ".shuniu" / self.name

    def drop(self, name: str, content: str | bytes | Mapping[str, str | None], encoding: str = "utf-8") -> None:
        data = content if isinstance(content, bytes | str) else table(content)
        part = self.folder / f"{name}.part"
        part.write_bytes(data if isinstance(data, bytes) else data.encode(encoding))
        part.rename(self.folder / name)

    async def take(
        self, units: int = 1, *, adapter: FilesAdapter | None = None, acknowledge: bool = True
    ) -> list[Batch]:
        """Read so many units from where it stands, as a bus that has each on Kafka."""
        found: list[Batch] = []
        chosen = adapter or self.adapter()
        async with asyncio.timeout(20), aclosing(chosen.read(["people"], self.position)) as batches:  # type: ignore[type-var]
            async for batch in batches:
                found.append(batch)
                if acknowledge:
                    self.position = position_after(batch)
                    await chosen.acknowledge(self.position)
                if sum(each.last for each in found) == units:
                    break
        return found

    def read(self, adapter: FilesAdapter | None = None, *datasets: str) -> Reading:
        """Read from where it stands, for as long as the test wants."""
        return Reading(adapter or self.adapter(), datasets or ["people"], self.position, acknowledge=True)

    def names(self, folder: str = "") -> list[str]:
        """Files in the folder, or in `done`, `failed`."""
        target = self.folder / folder
        return sorted(path.name for path in target.iterdir() if path.is_file()) if target.exists() else []

    def reason(self) -> str:
        """Why the one dump in `failed` was refused."""
        (path,) = (self.folder / "failed").glob("*.reason.txt")
        return path.read_text(encoding="utf-8")


def changes(batches: list[Batch]) -> list[Change]:
    return [change for batch in batches for change in batch.changes]


def told(batches: list[Batch]) -> list[tuple[str, str, str | None]]:
    """Op, number, and the name after it."""
    found = []
    for change in changes(batches):
        row = change.before if change.op is Op.DELETE else change.after
        assert row is not None, "a rejected row"
        found.append((change.op.value, row["number"], change.after["name"] if change.after else None))
    return found
