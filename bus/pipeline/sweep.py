"""The end of a full snapshot: every key that was live before it began and was not seen since is deleted.

Everything needed stands in the raw topic itself, so a crash at any point is mended by sweeping again: keys that were
already deleted count as seen. What raw no longer holds (its retention has passed) cannot be swept.
"""

from __future__ import annotations

import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bus.errors import BusError
from bus.kafka import clients
from bus.wire import FRAME_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from bus.config import Connection
    from bus.pipeline.record import InputRecord

DELETE_SYMBOL: Final = 2
"""Index of `d` among the envelope's op symbols, which is the first thing in its Avro body (a zigzag varint)."""

FREE_DELETIONS: Final = 100
"""So many deletions never ask, whatever their share."""


class TooManyDeletionsError(BusError):
    """The new snapshot lacks so many known keys that it looks cut off; nothing was deleted."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A key to delete, and the offset of its last live record, which names the deletion for good."""

    key: bytes
    partition: int
    offset: int


class KeyFold:
    """Which keys live and which were seen since the snapshot began; on disk, so that memory does not bound it."""

    def __init__(self, begin: Mapping[int, int]) -> None:
        self.seen = 0
        """Live records since the snapshot began."""
        self._begin = begin
        self._folder = tempfile.TemporaryDirectory(prefix="shuniu-sweep-")
        self._keys = sqlite3.connect(Path(self._folder.name) / "keys.sqlite", isolation_level=None)
        self._keys.execute("pragma journal_mode = off")
        self._keys.execute("create table k (key blob primary key, part int, off int) without rowid")
        self._keys.execute("begin")

    def close(self) -> None:
        """Remove the files."""
        self._keys.close()
        self._folder.cleanup()

    def take(self, records: Iterable[InputRecord]) -> None:
        """Fold raw records in, in the order of their offsets."""
        for record in records:
            if record.key is None or record.value is None:
                continue
            live = record.value[FRAME_BYTES] >> 1 != DELETE_SYMBOL
            since = record.offset >= self._begin.get(record.partition, 0)
            self.seen += since and live
            if since or not live:
                self._keys.execute("delete from k where key = ?", (record.key,))
            else:
                row = (record.key, record.partition, record.offset)
                self._keys.execute("insert or replace into k values (?, ?, ?)", row)

    def gone(self) -> Iterator[Gone]:
        """The keys to delete."""
        for row in self._keys.execute("select key, part, off from k order by part, off"):
            yield Gone(*row)

    def count(self) -> int:
        """How many keys are to be deleted."""
        return int(self._keys.execute("select count(*) from k").fetchone()[0])


async def fold_topic(connection: Connection, topic: str, begin: Mapping[int, int]) -> KeyFold:
    """Read a raw topic from its start to its end, and fold it.

    Raises:
        BrokerUnavailableError: no broker answered.
    """
    fold = KeyFold(begin)
    reader = clients.consumer(connection, auto_offset_reset="earliest")
    async with clients.started(reader, connection):
        places = [clients.TopicPartition(topic, number) for number in begin]
        reader.assign(places)
        await reader.seek_to_beginning(*places)
        ends = await reader.end_offsets(places)
        while [place for place in places if await reader.position(place) < ends[place]]:
            for records in (await reader.getmany(timeout_ms=200)).values():
                fold.take(records)
    return fold


def refuse_too_many(gone: int, live: int, share: float, dataset: str) -> None:
    """Stop before a cut-off snapshot deletes the world.

    Args:
        gone: keys that would be deleted.
        live: keys of the new snapshot.
        share: the largest allowed share of deletions among all known keys, 0 to 1.
        dataset: whose.

    Raises:
        TooManyDeletionsError: above the share.
    """
    if gone > max(FREE_DELETIONS, share * (gone + live)):
        raise TooManyDeletionsError(
            f"{gone} of {gone + live} known keys are missing, more than {share:.0%}",
            where=dataset,
            fix="look at the source; if the deletions are right, run the adapter once with --accept-deletions",
        )
