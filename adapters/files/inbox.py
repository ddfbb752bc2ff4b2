"""The folder where dumps land: which are whole, whose they are, and where they go when they are done or refused."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from adapters.files.difference import ACCEPT
from adapters.files.durable import sync_folder
from adapters.files.names import around, shown
from adapters.files.unit import Identity, unit_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from adapters.files.config import DatasetConfig, FilesConfig
    from adapters.files.unit import Rank

DONE: Final = "done"
FAILED: Final = "failed"
HELD: Final = ".held.txt"
REASON: Final = ".reason.txt"
UNFINISHED: Final = (".part", ".tmp", ".filepart", ".crdownload", ".swp")
BY_TIME: Final = 2
"""First in a rank by time; in one by name it is 0 before a number and 1 before a text."""

_NUMBERED = re.compile(r"([0-9]{8,})\.(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file in the folder that belongs to a dataset."""

    identity: Identity
    dataset: str
    rank: Rank
    whole: bool
    accepted: bool
    """A person has put NAME.accept-deletions beside it."""


def rank_of(name: str, mtime_ns: int, config: DatasetConfig) -> Rank:
    """The place of a dump among those of its dataset, so that ranks compare."""
    if config.order == "time":
        return [[BY_TIME, mtime_ns]]
    return [[0, int(part)] if part.isdecimal() else [1, part] for part in re.split("([0-9]+)", name) if part]


def is_behind(rank: Rank, other: Rank) -> bool:
    """A dump is older than another one; ranks by name and by time do not compare."""
    return bool(rank and other) and (rank[0][0] == BY_TIME) == (other[0][0] == BY_TIME) and rank < other


class Inbox:
    """The folder of an adapter.

    Args:
        config: of the adapter.
        clock: seconds that only go forward.
    """

    def __init__(self, config: FilesConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = config.folder
        self._config = config
        self._clock = clock
        self._seen: dict[Identity, float] = {}

    def path(self, name: str) -> Path:
        """A file in the folder."""
        return self.folder / name

    def beside(self, name: str, mark: str) -> Path:
        """The file that says something of another one."""
        return self.folder / around("", name, mark)

    def _accepts(self, name: str) -> tuple[Path, Path]:
        """A person's word: beside the name as it is, or as the person was told it."""
        return self.beside(name, ACCEPT), self.beside(shown(name), ACCEPT)

    def is_accepted(self, name: str) -> bool:
        """A person has put NAME.accept-deletions beside it."""
        return any(path.exists() for path in self._accepts(name))

    def arrivals(self) -> list[Arrival]:
        """Files of datasets, oldest first, whole or not.

        Raises:
            OSError: the folder cannot be read.
        """
        found = [arrival for name, identity in self._files() if (arrival := self._arrival(name, identity))]
        self._seen = {each.identity: self._seen.get(each.identity, self._clock()) for each in found}
        return sorted(found, key=lambda each: (each.dataset, each.rank, each.identity.name))

    def strangers(self) -> list[str]:
        """Files that belong to no dataset, or to several."""
        return sorted(name for name, _ in self._files() if len(self.datasets_of(name)) != 1)

    def _files(self) -> Iterator[tuple[str, Identity]]:
        marks = (ACCEPT, HELD, REASON, self._config.marker_suffix, *UNFINISHED)
        for path in self.folder.iterdir():
            if path.name.startswith(".") or path.name.endswith(marks):
                continue
            try:
                if path.is_file():
                    yield path.name, Identity.of(path.name, path.stat())
            except FileNotFoundError:  # moved away since the folder was listed
                continue

    def datasets_of(self, name: str) -> list[str]:
        """The datasets whose pattern a name fits."""
        return [dataset for dataset, each in self._config.datasets.items() if fnmatchcase(name, each.files)]

    def _arrival(self, name: str, identity: Identity) -> Arrival | None:
        datasets = self.datasets_of(name)
        if len(datasets) != 1:
            return None
        rank = rank_of(name, identity.mtime_ns, self._config.datasets[datasets[0]])
        return Arrival(identity, datasets[0], rank, self._is_whole(identity), self.is_accepted(name))

    def _is_whole(self, identity: Identity) -> bool:
        if self._config.ready == "rename":
            return True
        if self._config.ready == "marker":
            return self.beside(identity.name, self._config.marker_suffix).exists()
        since = self._seen.get(identity)
        return since is not None and self._clock() - since >= self._config.settle_seconds

    def is_still(self, identity: Identity) -> bool:
        """The file is there as it was."""
        try:
            return Identity.of(identity.name, self.path(identity.name).stat()) == identity
        except FileNotFoundError:
            return False

    def to_done(self, identity: Identity, number: int) -> None:
        """Move a dump whose events are durable, with its unit's number before its name; again is no harm."""
        if self.is_still(identity):
            self._move(identity.name, DONE, around(f"{number:08d}.", identity.name, ""))

    def to_failed(self, identity: Identity, reason: str) -> str:
        """Move a dump that is refused, with the reason beside it; its name there, empty if it has changed by now."""
        if not self.is_still(identity):
            return ""
        target = _failed(f"{time.strftime('%Y%m%dT%H%M%S')}.", identity.name)
        while (self.folder / FAILED / target).exists():
            target = _failed(f"{time.strftime('%Y%m%dT%H%M%S')}.{time.monotonic_ns()}.", identity.name)
        folder = self.folder / FAILED
        folder.mkdir(exist_ok=True)
        (folder / (target + REASON)).write_text(reason + "\n", encoding="utf-8")
        self._move(identity.name, FAILED, target)
        return target

    def is_in_failed(self, name: str) -> bool:
        """A dump that was refused still lies there."""
        return (self.folder / FAILED / name).exists()

    def hold(self, identity: Identity, reason: str) -> None:
        """Say beside a dump why it waits."""
        unfinished = self.beside(identity.name, f"{HELD}.tmp")
        unfinished.write_text(reason + "\n", encoding="utf-8")
        unfinished.replace(self.beside(identity.name, HELD))

    def let_go(self, identity: Identity) -> None:
        """Say no more of a dump that it waits, if it is not there any more as it was."""
        if not self.is_still(identity):
            self.beside(identity.name, HELD).unlink(missing_ok=True)

    def _move(self, name: str, to: str, target: str) -> None:
        folder = self.folder / to
        folder.mkdir(exist_ok=True)
        marks = (self.beside(name, mark) for mark in (HELD, self._config.marker_suffix))
        for path in (*self._accepts(name), *marks):
            path.unlink(missing_ok=True)
        self.path(name).replace(folder / target)
        sync_folder(folder)
        sync_folder(self.folder)

    def last_done(self, dataset: str) -> tuple[int, Path] | None:
        """The newest dump of a dataset in `done/`, and its unit's number."""
        numbered = [
            (int(match[1]), path)
            for path in (self.folder / DONE).glob("*")
            if (match := _NUMBERED.fullmatch(path.name)) and self.datasets_of(match[2]) == [dataset]
        ]
        return max(numbered, default=None)

    def highest_done(self) -> int:
        """The highest number in `done/`; 0 if there is none."""
        return max((unit_number(path.name.replace(".", "-", 1)) for path in (self.folder / DONE).glob("*")), default=0)


def _failed(before: str, name: str) -> str:
    """With room for its reason's name."""
    return around(before, name, REASON).removesuffix(REASON)


def original_name(done: Path) -> str:
    """The name that a dump in `done/` had; a long one may be shortened."""
    return done.name.partition(".")[2]
