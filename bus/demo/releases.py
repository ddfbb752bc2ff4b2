"""Civil Affairs: two real releases of the national divisions as full dumps, and what is true of them."""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from bus.demo.proof import State

SOURCE: Final = Path(__file__).parent / "divisions"
RELEASES: Final = ("2019-10-31", "2023-06-30")

COLUMNS: Final = {
    "code": "code",
    "name": "name",
    "provinceCode": "province_code",
    "cityCode": "city_code",
    "areaCode": "county_code",
}
LEVELS: Final = {"provinces": "province", "cities": "city", "areas": "county", "streets": "town"}
"""The dumps' names, and those of the entities that they become."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How many rows one release has created, changed and deleted since another."""

    created: int
    changed: int
    deleted: int


def difference(old: State, new: State) -> Difference:
    """From one state to the next, by key."""
    return Difference(
        created=len(new.keys() - old.keys()),
        changed=sum(old[key] != new[key] for key in old.keys() & new.keys()),
        deleted=len(old.keys() - new.keys()),
    )


class Releases:
    """Drops the releases, one after the other, into the folder where the adapter looks for them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.dropped = 0
        folder.mkdir(parents=True, exist_ok=True)

    def drop(self) -> None:
        """The next release, all four levels; each file gets its name when it is whole."""
        release = RELEASES[self.dropped]
        for level in LEVELS:
            file = self._folder / f"{level}-{release}.csv"
            part = file.with_suffix(".part")
            part.write_bytes(_content(level, release))
            part.rename(file)
        self.dropped += 1

    def state(self, level: str) -> State:
        """What the level is as of the newest release, by code."""
        return rows(level, RELEASES[self.dropped - 1])

    def difference(self, level: str) -> Difference:
        """Of the level, from the first release to the second."""
        return difference(rows(level, RELEASES[0]), rows(level, RELEASES[1]))


def rows(level: str, release: str) -> State:
    """The rows of a release by code, with the entity's field names; no code of the data path is used."""
    lines = _content(level, release).decode("utf-8").splitlines()
    made: dict[str, dict[str, Any]] = {}
    for row in csv.DictReader(lines):
        made[row["code"]] = {COLUMNS[column]: text for column, text in row.items()}
    return made


def _content(level: str, release: str) -> bytes:
    return gzip.decompress((SOURCE / f"{level}-{release}.csv.gz").read_bytes())
