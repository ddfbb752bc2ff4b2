"""What an adapter instance publishes, and how far it is."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bus.pipeline.position import Progress
from bus.spi import ColumnChanges, Rejected, RowChanges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.spi import Batch


@dataclass(frozen=True, slots=True)
class Published:
    """A dataset that the adapter publishes.

    Attributes:
        name: `<dept>.<dataset>`.
        source_name: what the source calls it.
        key: fields of its key.
        partitions: of its raw topic.
    """

    name: str
    source_name: str
    key: tuple[str, ...]
    partitions: int


@dataclass(frozen=True, slots=True)
class Publication:
    """What one adapter instance publishes, and for whom.

    Attributes:
        adapter: name of the instance; also its record in the positions topic.
        department: code of the department.
        source: `ce_source` of all its records.
        datasets: what it reads.
        deletion_share: largest share of known keys that a new snapshot may lack; 1.0 accepts anything.
    """

    adapter: str
    department: str
    source: str
    datasets: tuple[Published, ...]
    deletion_share: float = 0.3


@dataclass(slots=True)
class AdapterCounts:
    """What an adapter's runtime has done since it began; read by heartbeats and metrics.

    Attributes:
        state: starting, running, waiting, stopped or failed.
        error: class of the last error; empty if there was none.
        caught_up: when it last ran with nothing pending, seconds since 1970.
        pending: changes that were read and are not on Kafka yet.
        seconds: that the transactions took together.
        rejected: rows that the adapter could not read as such, by dataset (the source's name) and rule.
    """

    changes: int = 0
    transactions: int = 0
    failures: int = 0
    last_commit: float = 0.0
    seconds: float = 0.0
    pending: int = 0
    caught_up: float | None = None
    state: str = "starting"
    error: str = ""
    progress: Progress = field(default_factory=Progress)
    rejected: Counter[tuple[str, str]] = field(default_factory=Counter)

    def took(self, batches: Sequence[Batch], progress: Progress, seconds: float) -> None:
        """Count one transaction."""
        self.changes += sum(len(batch.changes) for batch in batches)
        listed = (batch.changes for batch in batches if not isinstance(batch.changes, RowChanges | ColumnChanges))
        unread = (each for changes in listed for each in changes if type(each) is Rejected)  # the others have none
        self.rejected.update((each.dataset, each.rule) for each in unread)
        self.transactions += 1
        self.seconds += seconds
        self.error = ""
        self.last_commit = time.time()
        self.progress = progress
