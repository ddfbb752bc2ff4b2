"""What the adapter knows, on disk: the last durable rows of each dataset, and the units on their way out.

    state.json             the last unit that is durable on Kafka, and the rows of every dataset as of then
    unit-<number>.json     a unit on its way: written when all its files are, removed when it is durable
    rows-…, changes-…, rejects-…   their files
    notices.json           see `adapters.files.notices`

Every step is one rename. Before a unit's first event goes out its journal entry is durable, so a cut unit comes again
row for row the same. When it is durable, in this order: state.json takes it in; the dump moves to done/; its entry
goes; files that nothing names any more go. A crash between two of them is mended at the next start by doing the rest.

The position on Kafka decides: a state that does not fit it (lost, older, or newer) is not believed. Then every dataset
goes out once more as a bracketed snapshot of what is the newest known: the state's rows, the last dump in done/, or the
next one that comes.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from dataclasses import asdict, dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING, Final

import structlog

from adapters.files.durable import read_json, sync_folder, write_json
from adapters.files.faults import StateTakenError, no_room
from adapters.files.notices import NOTICES
from adapters.files.unit import Due, Unit, unit_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from adapters.files.inbox import Inbox
    from adapters.files.unit import Identity, Rank
    from bus.spi import Position

_log = structlog.get_logger()

STATE: Final = "state.json"
FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a dataset.

    Attributes:
        rows_file: all its rows; empty if they are not known.
        digest: SHA-256 of that file.
        rows: how many.
        number: of the unit that they are from.
        time: of the dump.
        rank: of the dump.
        fingerprint: see `DatasetConfig.fingerprint`.
        due: it must go out as a bracketed snapshot, because what is on Kafka may be something else.
        fresh: nothing of it was ever published, as far as can be told.
    """

    rows_file: str = ""
    digest: str = ""
    rows: int = 0
    number: int = 0
    time: int = 0
    rank: Rank | None = None
    fingerprint: str = ""
    due: Due = Due.NOW
    fresh: bool = True

    @classmethod
    def after(cls, unit: Unit) -> Known:
        """Once a unit is durable."""
        return cls(
            unit.rows_file, unit.digests[unit.rows_file], unit.rows, unit.number, unit.time, unit.rank,
            unit.fingerprint, unit.due, fresh=False,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class State:
    """state.json: `unit` is the last durable one, `number` the highest that was ever given."""

    unit: str
    number: int
    datasets: dict[str, Known]


class Ledger:
    """The state folder of one adapter instance; one process at a time.

    Args:
        folder: where it is.
        inbox: whose dumps move when they are durable.
    """

    def __init__(self, folder: Path, inbox: Inbox) -> None:
        self.folder = folder
        self.units: list[Unit] = []
        self._inbox = inbox
        self._state: State | None = None
        self._lock = threading.RLock()
        self._held: int | None = None

    def lock(self) -> None:
        """Take the folder; again is no harm.

        Raises:
            StateTakenError: another process has it.
            SourceUnavailableError: it cannot be written.
        """
        if self._held is not None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.folder.chmod(0o700)  # it holds the last dump's rows
            held = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise no_room(self.folder, error) from None
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(held)
            raise StateTakenError(
                "another process uses the adapter's state", where=str(self.folder), fix="end that process"
            ) from None
        self._held = held

    def open(self) -> None:
        """Take the folder and load what is in it.

        Raises:
            SourceUnavailableError: another process has it, or it cannot be written.
        """
        self.lock()
        self._state = self._load_state()
        self.units = self._load_units()
        self._finish()
        self._clean()

    def close(self) -> None:
        """Let the folder go; also twice."""
        with self._lock:
            if self._held is not None:
                os.close(self._held)
            self._held = None

    def _load_state(self) -> State | None:
        told = read_json(self.folder / STATE)
        try:
            if told["format"] != FORMAT:
                return None
            known = {name: Known(**{**each, "due": Due(each["due"])}) for name, each in told["datasets"].items()}
            state = State(told["unit"], told["number"], known)
        except (KeyError, TypeError, ValueError, AttributeError):
            return None
        whole = all(self._is_whole(each.rows_file, each.digest) for each in known.values() if each.rows_file)
        return state if whole else None

    def _load_units(self) -> list[Unit]:
        """The chain of units behind the state; one with a damaged file ends it."""
        found = []
        for path in self.folder.glob("unit-*.json"):
            try:
                found.append(Unit.of(read_json(path)))
            except (KeyError, TypeError, ValueError):
                continue
        chain = []
        previous = self._state.unit if self._state else ""
        durable = unit_number(previous)
        for unit in sorted(found, key=lambda unit: unit.number):
            if unit.number <= durable:
                chain.append(unit)
            elif unit.previous == previous and all(self._is_whole(*each) for each in unit.digests.items()):
                chain.append(unit)
                previous = unit.name
        return chain

    def _is_whole(self, name: str, digest: str) -> bool:
        try:
            return digest_of(self.folder / name) == digest
        except OSError:
            return False

    def settle(self, resume_from: Position | None, datasets: Mapping[str, str]) -> list[Unit]:
        """Compare with the position on Kafka, mend what does not fit, and tell the units that must come again.

        Args:
            resume_from: the position; None to begin anew.
            datasets: those that are read, and their fingerprints of today.
        """
        self.units = list(takewhile(lambda unit: datasets.get(unit.dataset) == unit.fingerprint, self.units))
        if resume_from is None:
            self._adopt("", datasets)
            return []
        state = self._state
        if resume_from.unit in {unit.name for unit in self.units}:
            self.acknowledge(resume_from)
        elif state is None or state.unit != resume_from.unit or not resume_from.complete:
            _log.warning(
                "the adapter's state does not fit the position on Kafka: every dataset is published whole once more",
                adapter=self.folder.name,
                state=state.unit if state else "lost",
                position=resume_from.unit,
            )
            self._adopt(resume_from.unit, datasets)
        return list(self.units)

    def _adopt(self, unit: str, datasets: Iterable[str]) -> None:
        """Go on behind a unit, with every dataset due; what was on its way is prepared anew."""
        state = self._state or State("", 0, {})
        number = max(
            state.number, unit_number(unit), self._inbox.highest_done(), *(each.number for each in self.units), 0
        )
        known = {name: _due(state.datasets.get(name, Known()), fresh=not unit) for name in datasets}
        self._write(State(unit, number, state.datasets | known))
        self.units = []
        self._clean()

    @property
    def number(self) -> int:
        """The highest number that was given to a unit."""
        with self._lock:
            given = self._state.number if self._state else 0
            return max([given, *(unit.number for unit in self.units)])

    @property
    def tip(self) -> str:
        """Name of the last unit, durable or on its way."""
        with self._lock:
            if self.units:
                return self.units[-1].name
            return self._state.unit if self._state else ""

    def known(self, dataset: str) -> Known:
        """A dataset once all units on their way are durable."""
        with self._lock:
            for unit in reversed(self.units):
                if unit.dataset == dataset:
                    return Known.after(unit)
            return self._state.datasets.get(dataset, Known()) if self._state else Known()

    @property
    def time(self) -> int:
        """The newest time of a dump; units never go back behind it."""
        with self._lock:
            durable = self._state.datasets.values() if self._state else ()
            return max([0, *(each.time for each in durable), *(unit.time for unit in self.units)])

    def has(self, identity: Identity) -> bool:
        """The file is on its way."""
        with self._lock:
            return any(unit.source == identity for unit in self.units)

    def add(self, unit: Unit) -> None:
        """Put a unit whose files are durable into the journal.

        Raises:
            SourceUnavailableError: no room.
        """
        with self._lock:
            write_json(self.folder / f"unit-{unit.number:08d}.json", unit.told())
            self.units.append(unit)

    def acknowledge(self, position: Position) -> None:
        """Take in what is durable on Kafka; a position of no unit on its way says nothing.

        Raises:
            SourceUnavailableError: no room.
        """
        with self._lock:
            names = [unit.name for unit in self.units]
            if self._held is None or position.unit not in names:
                return
            count = names.index(position.unit) + position.complete
            if not count:
                return
            state = self._state or State("", 0, {})
            known = state.datasets | {unit.dataset: Known.after(unit) for unit in self.units[:count]}
            last = self.units[count - 1]
            self._write(State(last.name, max(state.number, last.number), known))
            self._finish()

    def _write(self, state: State) -> None:
        told = {
            "format": FORMAT,
            "unit": state.unit,
            "number": state.number,
            "datasets": {name: asdict(each) for name, each in state.datasets.items()},
        }
        write_json(self.folder / STATE, told)
        self._state = state

    def _finish(self) -> None:
        """The rest of what a durable unit needs: its dump moves, its entry goes, then its files."""
        durable = unit_number(self._state.unit) if self._state else 0
        for unit in [unit for unit in self.units if unit.number <= durable]:
            try:
                if unit.source is not None:
                    self._inbox.to_done(unit.source, unit.number)
            except OSError as error:
                raise no_room(self._inbox.folder, error) from None
            self.units.remove(unit)
        self._clean(durable)

    def _clean(self, up_to: int | None = None) -> None:
        """Remove files that nothing names any more.

        Args:
            up_to: number of the last unit whose files may go, while the next one is being prepared in another thread:
                its files are there before its entry names them.
        """
        named = {f"unit-{unit.number:08d}.json" for unit in self.units} | {STATE, NOTICES, "lock"}
        named |= {name for unit in self.units for name in unit.digests}
        named |= {each.rows_file for each in self._state.datasets.values()} if self._state else set()
        entries = [path for path in self.folder.iterdir() if path.is_file() and path.name not in named]
        if up_to is not None:
            entries = [path for path in entries if 0 < _number_of(path.name) <= up_to]
        for path in sorted(entries, key=lambda path: not path.name.startswith("unit-")):
            path.unlink(missing_ok=True)
        if entries:
            sync_folder(self.folder)


def _number_of(file: str) -> int:
    """Of the unit that a file belongs to; 0 if it belongs to none."""
    return unit_number(file.partition("-")[2].partition(".")[0])


def _due(known: Known, *, fresh: bool) -> Known:
    return replace(known, due=known.due or Due.NOW, fresh=known.fresh and fresh)


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
