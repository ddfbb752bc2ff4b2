"""What of the folder needs a person now: dumps that are held, and of each dataset the last one that was refused.

They are kept in notices.json of the state folder too, so that after a restart the same is told.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from adapters.files.durable import read_json, write_json
from adapters.files.inbox import FAILED, is_behind
from adapters.files.names import shown
from adapters.files.unit import Identity
from bus.spi import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from adapters.files.faults import DumpHeldError, DumpRefusedError, EngineError
    from adapters.files.inbox import Inbox
    from adapters.files.unit import Rank

NOTICES: Final = "notices.json"


@dataclass(frozen=True, slots=True)
class Notice:
    """One dump that a person must see to.

    Attributes:
        dataset: whose.
        finding: what is wrong with it: an error if it is held, a warning if it was refused.
        source: the file as it was when it was held; None if it was refused.
        failed: its name in `failed/`; empty if it is held.
        rank: of the dump.
    """

    dataset: str
    finding: Finding
    rank: Rank
    source: Identity | None = None
    failed: str = ""

    @classmethod
    def of(cls, told: Any) -> Notice:
        """From JSON.

        Raises:
            KeyError, TypeError, ValueError: not written by `Notices`.
        """
        finding = Finding(**{**told["finding"], "severity": Severity(told["finding"]["severity"])})
        source = Identity(**told["source"]) if told["source"] else None
        return cls(**{**told, "finding": finding, "source": source})


class Notices:
    """The notices of an adapter instance; changed by one thread, read by any.

    Args:
        inbox: the folder.
        state: the adapter's state folder.
    """

    def __init__(self, inbox: Inbox, state: Path) -> None:
        self.by_dataset: Mapping[str, tuple[Finding, ...]] = {}
        self._inbox = inbox
        self._path = state / NOTICES
        self._all: list[Notice] = []
        self._loaded = False

    def load(self) -> None:
        """Take up what was told before a restart, once; the state folder must be ours."""
        if self._loaded:
            return
        try:
            self._all = [Notice.of(each) for each in read_json(self._path) or ()]
        except (KeyError, TypeError, ValueError):
            self._all = []
        self._loaded = True
        self._tell()

    def hold(self, dataset: str, rank: Rank, source: Identity, error: DumpHeldError) -> None:
        """A dump waits.

        Raises:
            SourceUnavailableError: no room.
        """
        finding = Finding(error.detail, error.where, error.fix)
        others = [each for each in self._all if each.source != source]
        self._become([*others, Notice(dataset, finding, rank, source=source)])

    def refuse(self, dataset: str, rank: Rank, name: str, failed: str, error: DumpRefusedError | EngineError) -> None:
        """A dump lies in `failed/`; one that was refused before it is not spoken of any more.

        Args:
            dataset: whose.
            rank: of the dump.
            name: that it had in the folder.
            failed: that it has in `failed/`.
            error: why.

        Raises:
            SourceUnavailableError: no room.
        """
        fix = error.fix or "drop it again; if that does not help, the adapter's log says where it failed"
        finding = Finding(
            error.detail if error.fix else f"{error.summary} ({error.detail})",
            error.where or shown(name),
            f"{fix} (it lies in {FAILED}/{shown(failed)})",
            Severity.WARNING,
        )
        others = [each for each in self._all if not each.failed or each.dataset != dataset]
        self._become([*others, Notice(dataset, finding, rank, failed=failed)])

    def go_out(self, dataset: str, rank: Rank, source: Identity) -> None:
        """A good dump is on its way: it waits no more, and mends one that was refused and is not newer.

        Raises:
            SourceUnavailableError: no room.
        """
        others = [each for each in self._all if each.source != source]
        mended = [each for each in others if each.dataset == dataset and each.failed and not is_behind(rank, each.rank)]
        self._become([each for each in others if each not in mended])

    def renew(self) -> None:
        """Forget what was accepted, replaced or taken away since.

        Raises:
            SourceUnavailableError: no room.
            OSError: the folder cannot be read.
        """
        over = [each for each in self._all if not self._holds(each)]
        for each in over:
            if each.source is not None:
                self._inbox.let_go(each.source)
        self._become([each for each in self._all if each not in over])

    def _holds(self, notice: Notice) -> bool:
        if (source := notice.source) is not None:
            return self._inbox.is_still(source) and not self._inbox.is_accepted(source.name)
        return self._inbox.is_in_failed(notice.failed)

    def _become(self, notices: list[Notice]) -> None:
        if notices == self._all:
            return
        self._all = notices
        self._tell()
        write_json(self._path, [asdict(each) for each in notices])

    def _tell(self) -> None:
        found: dict[str, list[Finding]] = defaultdict(list)
        for each in self._all:
            found[each.dataset].append(each.finding)
        self.by_dataset = {dataset: tuple(findings) for dataset, findings in found.items()}
