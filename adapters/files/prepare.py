"""From what lies in the folder to the next unit: which dump, whether it may go out, and as what."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from adapters.files.difference import ask_before_deleting, difference
from adapters.files.dump import Dump, Loaded, lines_of
from adapters.files.durable import publish
from adapters.files.engine import Engine
from adapters.files.faults import DumpChangedError, DumpHeldError, DumpRefusedError, EngineError, no_room
from adapters.files.inbox import BY_TIME, is_behind, original_name, rank_of
from adapters.files.ledger import digest_of
from adapters.files.names import is_shortened, shown
from adapters.files.unit import Due, Identity, Kind, Unit
from bus.errors import SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from adapters.files.config import FilesConfig
    from adapters.files.inbox import Arrival, Inbox
    from adapters.files.ledger import Known, Ledger
    from adapters.files.notices import Notices
    from adapters.files.unit import Rank

_log = structlog.get_logger()

WORK: Final = "work"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A dump to be read: in the folder, or (to mend what was lost) in `done/`."""

    dataset: str
    path: Path
    name: str
    rank: Rank
    micros: int
    source: Identity | None
    accepted: bool


class Preparer:
    """Makes the next unit; all of it in a thread of its own.

    Args:
        config: of the adapter.
        ledger: what is known.
        inbox: the folder.
        notices: learn which dumps a person must see to.
        stopped: true when the adapter closes.
    """

    def __init__(
        self, config: FilesConfig, ledger: Ledger, inbox: Inbox, notices: Notices, stopped: Callable[[], bool]
    ) -> None:
        self.engine: Engine | None = None
        """The engine at work, to be interrupted."""
        self._config = config
        self._ledger = ledger
        self._inbox = inbox
        self._notices = notices
        self._stopped = stopped
        self._held: dict[Identity, int] = {}
        self._unmended: set[str] = set()

    def next(self, datasets: Sequence[str]) -> Unit | None:
        """The next unit, in the journal already; None if nothing is ready.

        Raises:
            SourceUnavailableError: the folder cannot be read, or there is no room.
            StoppedError: the adapter is closing.
        """
        try:
            self._notices.renew()
            for dataset in datasets:
                if unit := self._mended(dataset):
                    return unit
            for arrival in self._in_turn():
                if arrival.dataset in datasets and self._is_next(arrival) and (unit := self._arrived(arrival)):
                    return unit
        except OSError as error:
            raise SourceUnavailableError(
                error.strerror or type(error).__name__,
                where=str(self._inbox.folder),
                fix="make the folder readable and writable for the adapter",
            ) from None
        return None

    def _mended(self, dataset: str) -> Unit | None:
        """A dataset that is due goes out from what is known of it."""
        known = self._ledger.known(dataset)
        if known.due is not Due.NOW or dataset in self._unmended:
            return None
        done = self._inbox.last_done(dataset)
        newest = done is None or done[0] <= known.number
        if newest and known.rows_file and known.fingerprint == self._config.datasets[dataset].fingerprint:
            return self._again(dataset, known)
        if done is None:
            self._unmended.add(dataset)
            return None
        name, stat = original_name(done[1]), done[1].stat()
        rank = rank_of(name, stat.st_mtime_ns, self._config.datasets[dataset])
        if is_shortened(name) and rank[0][0] != BY_TIME:
            rank = []  # not known any more: whatever comes is newer
        try:
            return self._prepared(
                Candidate(dataset, done[1], name, rank, _micros(stat.st_mtime_ns), None, accepted=True)
            )
        except (DumpRefusedError, EngineError) as error:
            self._unmended.add(dataset)
            _log.error(
                "the last dump in done/ cannot be read; the next dump will mend it", dataset=dataset, **_told(error)
            )
            return None

    def _again(self, dataset: str, known: Known) -> Unit:
        """The rows that are known, whole."""
        candidate = Candidate(dataset, self._inbox.folder, "", known.rank or [], known.time, None, accepted=True)
        way, digests = (Kind.SNAPSHOT, Due.NO), {known.rows_file: known.digest}
        unit = self._unit(candidate, way, digests, known.rows_file, known.rows)
        self._ledger.add(unit)
        return unit

    def _in_turn(self) -> list[Arrival]:
        """Oldest first; of a dataset that must go out whole, newest first: the others are behind it then."""
        arrivals = self._inbox.arrivals()
        due = {each.dataset for each in arrivals if self._ledger.known(each.dataset).due is Due.NOW}
        newest = [each for each in reversed(arrivals) if each.dataset in due]
        return newest + [each for each in arrivals if each.dataset not in due]

    def _is_next(self, arrival: Arrival) -> bool:
        if not arrival.whole or self._ledger.has(arrival.identity):
            return False
        held = self._held.get(arrival.identity)
        return held is None or arrival.accepted or held != self._ledger.known(arrival.dataset).number

    def _arrived(self, arrival: Arrival) -> Unit | None:
        identity, dataset = arrival.identity, arrival.dataset
        candidate = Candidate(
            dataset, self._inbox.path(identity.name), identity.name, arrival.rank, _micros(identity.mtime_ns), identity,
            arrival.accepted,
        )  # fmt: skip
        try:
            self._refuse_older(candidate)
            unit = self._prepared(candidate)
            self._notices.go_out(dataset, arrival.rank, identity)
        except (DumpRefusedError, EngineError) as error:
            _log.error("dump refused", dataset=dataset, file=shown(identity.name), **_told(error))
            failed = self._inbox.to_failed(identity, str(error))
            if failed and not self._is_replaced(candidate):
                self._notices.refuse(dataset, arrival.rank, identity.name, failed, error)
        except (DumpHeldError, PermissionError) as error:
            held = error if isinstance(error, DumpHeldError) else _unreadable(shown(identity.name))
            _log.error("dump waits for a person", dataset=dataset, file=shown(identity.name), **_told(held))
            self._inbox.hold(identity, str(held))
            self._held[identity] = self._ledger.known(dataset).number
            self._notices.hold(dataset, arrival.rank, identity, held)
        except (DumpChangedError, FileNotFoundError):
            _log.info("dump changed while it was read", dataset=dataset, file=shown(identity.name))
        else:
            return unit
        return None

    def _is_replaced(self, candidate: Candidate) -> bool:
        """Older than the last dump by its rank and by its time: nobody needs it, so nobody needs to hear of it."""
        known = self._ledger.known(candidate.dataset)
        return is_behind(candidate.rank, known.rank or []) and candidate.micros <= known.time

    def _refuse_older(self, candidate: Candidate) -> None:
        if is_behind(candidate.rank, self._ledger.known(candidate.dataset).rank or []):
            order = self._config.datasets[candidate.dataset].order
            raise DumpRefusedError(
                f"by its {order} it is older than the last dump of {candidate.dataset}; nothing of it is needed",
                where=shown(candidate.name),
                fix="name dumps so that they sort by date, or set `order: time`; to go back, give it a newer name",
            )

    def _prepared(self, candidate: Candidate) -> Unit:
        with Engine(self._ledger.folder / WORK, self._config.memory_limit_mb) as engine:
            self.engine = engine
            try:
                unit = self._read(candidate, engine)
            finally:
                self.engine = None
        self._ledger.add(unit)
        return unit

    def _read(self, candidate: Candidate, engine: Engine) -> Unit:
        began = time.monotonic()
        dataset, config = candidate.dataset, self._config.datasets[candidate.dataset]
        known = self._ledger.known(dataset)
        usable = known.rows_file and known.fingerprint == config.fingerprint
        base = self._ledger.folder / known.rows_file if usable and known.due is not Due.NOW else None
        rows, changes = engine.folder / "rows", engine.folder / "changes"
        loaded = Dump(candidate.path, dataset, self._config.datasets, engine, self._stopped).load(rows, base)
        if candidate.source is not None and not self._inbox.is_still(candidate.source):
            raise DumpChangedError
        kind, due = _way(known, loaded, has_base=base is not None)
        files = {"rows": rows}
        if kind is Kind.CHANGES and base is not None:
            counts = difference(engine, config, base, rows, changes)
            if not candidate.accepted:
                ask_before_deleting(counts, known.rows, loaded, config, candidate.name)
            files["changes"] = changes
            tell = _log.warning if loaded.spared else _log.info  # rows that may be gone were not deleted
            tell(
                "dump compared",
                dataset=dataset,
                file=shown(candidate.name),
                rows=loaded.rows - loaded.kept,
                rejected=len(loaded.rejects),
                kept=loaded.kept,
                seconds=round(time.monotonic() - began, 1),
                **counts._asdict(),
            )
        if loaded.rejects:
            files["rejects"] = self._rejects(candidate, loaded, engine.folder / "rejects")
        return self._journaled(candidate, (kind, due), files, loaded)

    @staticmethod
    def _rejects(candidate: Candidate, loaded: Loaded, target: Path) -> Path:
        originals = lines_of(candidate.path, loaded.rejects)
        try:
            with target.open("w", encoding="utf-8") as sink:
                for reject in loaded.rejects:
                    told = {
                        "rule": reject.rule,
                        "field": reject.field,
                        "reason": f"{shown(candidate.name)} {reject.reason}",
                        "original": base64.b64encode(originals.get(reject.line, b"")).decode(),
                    }
                    sink.write(json.dumps(told, ensure_ascii=False) + "\n")
        except OSError as error:
            raise no_room(target.parent, error) from None
        return target

    def _journaled(self, candidate: Candidate, way: tuple[Kind, Due], files: dict[str, Path], loaded: Loaded) -> Unit:
        """Make the files durable under the unit's number."""
        number = self._ledger.number + 1
        digests = {}
        for role, path in files.items():
            name = f"{role}-{number:08d}"
            digests[name] = digest_of(path)
            publish(path, self._ledger.folder / name)
        return self._unit(candidate, way, digests, f"rows-{number:08d}", loaded.rows)

    def _unit(
        self, candidate: Candidate, way: tuple[Kind, Due], digests: dict[str, str], rows_file: str, rows: int
    ) -> Unit:
        number, (kind, due) = self._ledger.number + 1, way
        told = {name.partition("-")[0]: name for name in digests}
        published = [digests[name] for role, name in sorted(told.items()) if role != "rows" or kind is not Kind.CHANGES]
        content = json.dumps([candidate.dataset, kind, published]).encode()
        return Unit(
            number=number,
            name=f"{number:08d}-{hashlib.sha256(content).hexdigest()[:16]}",
            previous=self._ledger.tip,
            dataset=candidate.dataset,
            kind=kind,
            rows_file=rows_file,
            rows=rows,
            changes_file=told.get("changes", ""),
            rejects_file=told.get("rejects", ""),
            digests=digests,
            time=max(candidate.micros, self._ledger.time),
            source=candidate.source,
            rank=candidate.rank,
            fingerprint=self._config.datasets[candidate.dataset].fingerprint,
            due=due,
        )


def _way(known: Known, loaded: Loaded, *, has_base: bool) -> tuple[Kind, Due]:
    """How a dump goes out, and what its dataset needs after it."""
    if known.due is Due.NO and has_base:
        return Kind.CHANGES, Due.NO
    if not loaded.rejects:
        return Kind.SNAPSHOT, Due.NO
    if has_base:
        return Kind.CHANGES, known.due
    return Kind.ROWS, Due.NO if known.fresh else Due.CLEAN


def _micros(mtime_ns: int) -> int:
    """A file's time, which is not in the future."""
    return min(mtime_ns, time.time_ns()) // 1000


def _unreadable(name: str) -> DumpHeldError:
    return DumpHeldError("the adapter may not read it", where=name, fix="give the adapter's user the right to read it")


def _told(error: DumpRefusedError | DumpHeldError | EngineError) -> dict[str, str]:
    return {"reason": error.detail, "where": error.where, "fix": error.fix}
