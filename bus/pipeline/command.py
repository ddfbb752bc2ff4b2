"""What is asked of lanes on `_bus.commands`, and what each of them answers, in `_bus.rejects.<dept>`."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import structlog

from bus.errors import BusError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bus.pipeline.open_rejects import Entry

_log = structlog.get_logger()

VALID_MS: Final = 3_600_000
"""A command that a lane has not finished within that time is dropped; it can be given again."""


class BadCommandError(BusError):
    """A command, or the answer to one, cannot be read."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which open rejects of a dataset; what is None does not matter.

    Attributes:
        rule, field: of a verdict.
        since, until: when it was rejected, milliseconds since 1970; until is excluded.
        key: the record key, as text.
    """

    rule: str | None = None
    field: str | None = None
    since: int | None = None
    until: int | None = None
    key: str | None = None

    def takes_time(self, time: int) -> bool:
        """Whether a reject of that time is meant."""
        return (self.since is None or time >= self.since) and (self.until is None or time < self.until)

    def takes_key(self, key: bytes | None) -> bool:
        """Whether a reject of that key is meant."""
        return self.key is None or key == self.key.encode()

    def takes_why(self, rule: str, field: str) -> bool:
        """Whether a reject for that reason is meant."""
        return self.rule in {None, rule} and self.field in {None, field}

    def takes(self, key: bytes, entry: Entry) -> bool:
        """Whether the open reject is meant."""
        return (
            self.takes_key(key)
            and self.takes_time(entry.time)
            and any(self.takes_why(verdict.rule, verdict.field) for verdict in entry.open)
        )


@dataclass(frozen=True, slots=True)
class Redrive:
    """Take up open rejects of a dataset again, under its mappings as they are now.

    Attributes:
        id: of the command.
        dataset: whose.
        selection: which.
        dry_run: only say what would become of them.
        issued: milliseconds since 1970.
    """

    id: str
    dataset: str
    selection: Selection
    dry_run: bool
    issued: int

    @classmethod
    def new(cls, dataset: str, selection: Selection, now: float, *, dry_run: bool = False) -> Redrive:
        """A command with an id of its own; `now` in seconds since 1970."""
        return cls(uuid.uuid4().hex, dataset, selection, dry_run, int(now * 1000))

    def is_valid(self, now: float) -> bool:
        """Whether it is still to be carried out."""
        return now * 1000 < self.issued + VALID_MS

    def encode(self) -> bytes:
        """The value of its record; the key is its id."""
        told: dict[str, Any] = {"command": "redrive", "dataset": self.dataset, "issued": self.issued}
        chosen = {name: getattr(self.selection, name) for name in Selection.__slots__}
        told["selection"] = {name: value for name, value in chosen.items() if value is not None}
        return json.dumps(told | {"dry_run": self.dry_run}, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, command: str, value: bytes) -> Redrive | None:
        """The inverse of `encode`; None for a command of another kind.

        Raises:
            BadCommandError: not written by `encode`.
        """
        try:
            told = json.loads(value)
            if told["command"] != "redrive":
                return None
            return cls(command, told["dataset"], Selection(**told["selection"]), told["dry_run"], told["issued"])
        except (ValueError, KeyError, TypeError) as error:
            raise BadCommandError(type(error).__name__, where=f"_bus.commands, key {command}") from None


def redrives(items: Mapping[str, bytes]) -> list[Redrive]:
    """The redrives among the records of `_bus.commands`, oldest first; what cannot be read is left out."""
    found = []
    for command, value in items.items():
        try:
            redrive = Redrive.decode(command, value)
        except BadCommandError as error:
            _log.warning("command not read", command=command, error=error.detail)
            continue
        if redrive is not None:
            found.append(redrive)
    return sorted(found, key=lambda each: each.issued)


@dataclass(frozen=True, slots=True)
class Answer:
    """How far a lane has carried a redrive out; written in the transactions of what it did.

    Attributes:
        matched: open rejects that were selected when the lane began.
        done: there is nothing more to do.
        partition, offset: the last change on raw that was taken up; the lane goes on behind it.
        redriven: became good records (in a dry run: would become).
        superseded: were settled by a later change meanwhile.
        gone: can be read neither on raw nor in the dead letters; they stay open.
        rejected: rule → how many are still rejected by it; they stay open.
    """

    matched: int
    done: bool = False
    partition: int = -1
    offset: int = -1
    redriven: int = 0
    superseded: int = 0
    gone: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)

    @property
    def worked(self) -> int:
        """How many were taken up."""
        return self.redriven + self.superseded + self.gone + sum(self.rejected.values())

    def plus(self, other: Answer) -> Answer:
        """Both together, for a sum over lanes; done when both are."""
        return Answer(
            self.matched + other.matched,
            self.done and other.done,
            redriven=self.redriven + other.redriven,
            superseded=self.superseded + other.superseded,
            gone=self.gone + other.gone,
            rejected=dict(Counter(self.rejected) + Counter(other.rejected)),
        )

    def encode(self) -> bytes:
        """JSON."""
        told = {name: getattr(self, name) for name in Answer.__slots__}
        return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, value: bytes) -> Answer:
        """The inverse of `encode`.

        Raises:
            BadCommandError: not written by `encode`.
        """
        try:
            return cls(**json.loads(value))
        except (ValueError, TypeError) as error:
            raise BadCommandError(type(error).__name__) from None
