"""A dump that is ready to go out: what the journal holds of it, and what it will be known by."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os

Rank = list[list[int | str]]


class Kind(StrEnum):
    """How a dump goes out."""

    CHANGES = "changes"
    """As its difference from the last one."""
    SNAPSHOT = "snapshot"
    """Whole, in brackets: keys that are not in it are deleted."""
    ROWS = "rows"
    """Whole, without brackets: some rows cannot be read, and a missing key may be one of them."""


class Due(StrEnum):
    """Whether a dataset must go out as a bracketed snapshot before anything else of it."""

    NO = ""
    NOW = "now"
    """From the rows that are kept, the last dump in done/, or the next one."""
    CLEAN = "clean"
    """From a dump whose rows can all be read: the rows that are kept lack some."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A file as it was when it was read: another content under the same name is another file."""

    name: str
    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, name: str, stat: os.stat_result) -> Identity:
        """By what the file system says."""
        return cls(name, stat.st_size, stat.st_mtime_ns, stat.st_ino)


@dataclass(frozen=True, slots=True)
class Unit:
    """One dump on its way out; `Position.unit` is its name.

    Attributes:
        number: rising by one from dump to dump of the adapter.
        name: the number and a digest of what goes out.
        previous: name of the unit before it.
        dataset: whose.
        kind: how it goes out.
        rows_file: all rows, which the next dump is compared with.
        rows: how many.
        changes_file: the changes; empty if the rows themselves go out.
        rejects_file: bad rows; empty if there are none.
        digests: SHA-256 of each of these files, in hex.
        time: of the dump, microseconds since 1970.
        source: the file in the folder; None if it lies in `done/` already.
        rank: order of the dump among those of its dataset.
        fingerprint: see `DatasetConfig.fingerprint`.
        due: what the dataset needs all the same.
    """

    number: int
    name: str
    previous: str
    dataset: str
    kind: Kind
    rows_file: str
    rows: int
    changes_file: str
    rejects_file: str
    digests: dict[str, str]
    time: int
    source: Identity | None
    rank: Rank
    fingerprint: str
    due: Due

    def told(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def of(cls, told: Any) -> Unit:
        """The inverse of `told`.

        Raises:
            KeyError, TypeError, ValueError: not written by it.
        """
        source = Identity(**told["source"]) if told["source"] else None
        return cls(**{**told, "source": source, "kind": Kind(told["kind"]), "due": Due(told["due"])})


def unit_number(name: str) -> int:
    """The number in a unit's name; 0 if it is not one of ours."""
    head = name.partition("-")[0]
    return int(head) if head.isdecimal() else 0
