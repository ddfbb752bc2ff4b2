"""What a route lane remembers of a partition: which keys are in which filtered views, and how far views are filled.

It is kept in the same partition of `_bus.members.<entity>` (compacted, co-partitioned with shared), written in the
transactions of the outputs that it is about, and read whole when the lane opens. Records of that topic:

===================  =================================================================================================
key                  value
===================  =================================================================================================
the entity's key     The set of filtered views that have the key: their numbers, ascending, each as the difference from
                     the one before (the first: from 0) in unsigned LEB128; one or two bytes per view. Written only when
                     the set changes; null when the key is in none. With the key itself and the log's framing that is
                     some 24 bytes beside an 18-byte key.
0xFF, a view's topic JSON, see `Progress`: the view's number, and how far it is filled; null when it is gone.
0xFF alone           JSON: the next number to be given. Numbers count per partition and are never given twice, so that a
                     set which still names a view that is gone can never be taken for one that names another.
===================  =================================================================================================

0xFF begins no UTF-8 text, so that it begins no entity's key.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RESERVED: Final = b"\xff"

Change = tuple[bytes, bytes | None]
"""A record of the topic to be written: key, value."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a view is filled from one partition of the shared topic.

    Attributes:
        number: the view's, in the sets of this partition.
        topic_id: Kafka's id of the view's topic: a topic deleted and made anew is empty, and is filled anew.
        next: offset of shared up to which the view was filled; the scan goes on there.
        until: offset at which the view joined (N): from there on live work fills it. `next` beyond it: it is live.
    """

    number: int
    topic_id: str
    next: int
    until: int

    @property
    def is_live(self) -> bool:
        """Whether the view has everything that it must have of this partition."""
        return self.next >= self.until

    def encode(self) -> bytes:
        """JSON with the state (`filling` or `live`) in words, for who looks on."""
        told = {
            "state": "live" if self.is_live else "filling",
            "next": self.next,
            "until": self.until,
            "number": self.number,
            "topic_id": self.topic_id,
        }
        return json.dumps(told, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, value: bytes) -> Progress:
        """The inverse of `encode`."""
        told = json.loads(value)
        return cls(told["number"], told["topic_id"], told["next"], told["until"])


class Memory:
    """One partition's.

    Attributes:
        sets: key → packed set of view numbers; equal sets are one object.
        views: topic of a view → its progress.
        changed: while a view is being filled: key → offset of its last change that live work has seen, or will see.
    """

    __slots__ = ("_interned", "_next_number", "changed", "sets", "views")

    def __init__(self) -> None:
        self.sets: dict[bytes, bytes] = {}
        self.views: dict[str, Progress] = {}
        self.changed: dict[bytes, int] = {}
        self._interned: dict[bytes, bytes] = {}
        self._next_number = 1

    def take(self, key: bytes, value: bytes | None) -> None:
        """Take in a record of the topic."""
        if not key.startswith(RESERVED):
            self.keep(key, value)
        elif key == RESERVED:
            self._next_number = json.loads(value or b"1")
        elif value is None:
            self.views.pop(key[1:].decode(), None)
        else:
            self.views[key[1:].decode()] = Progress.decode(value)

    def keep(self, key: bytes, packed: bytes | None) -> None:
        """Remember a key's set."""
        if packed:
            self.sets[key] = self._interned.setdefault(packed, packed)
        else:
            self.sets.pop(key, None)

    @property
    def filling(self) -> dict[str, Progress]:
        """The views that are not filled yet."""
        return {topic: progress for topic, progress in self.views.items() if not progress.is_live}

    def adopt(self, topic_ids: Mapping[str, str], position: int) -> list[Change]:
        """Let these be the views: who is new joins at the lane's position, and is filled up to there.

        Args:
            topic_ids: id of each view's topic, by the topic's name.
            position: offset of shared that live work reads next: everything before is committed.
        """
        changes: list[Change] = []
        for topic, known in list(self.views.items()):
            if topic_ids.get(topic) != known.topic_id:
                del self.views[topic]
                changes.append((_key(topic), None))
        for topic in sorted(topic_ids.keys() - self.views.keys()):
            self.views[topic] = Progress(self._next_number, topic_ids[topic], 0, position)
            self._next_number += 1
            changes.append((_key(topic), self.views[topic].encode()))
            changes.append((RESERVED, json.dumps(self._next_number).encode()))
        self._forget_changes()
        return changes

    def advance(self, offset: int, until: int = 0) -> list[Change]:
        """The scan has come to this offset: the views that are being filled are filled up to there.

        Args:
            offset: everything before it has been scanned.
            until: where the views join now, if that is later than before (see `EntityViews.in_order`).
        """
        changes: list[Change] = []
        for topic, progress in self.filling.items():
            reached = min(max(progress.next, offset), progress.until)
            moved = replace(progress, next=reached, until=max(progress.until, until))
            if moved != progress:
                self.views[topic] = moved
                changes.append((_key(topic), moved.encode()))
        self._forget_changes()
        return changes

    def _forget_changes(self) -> None:
        if self.changed and not self.filling:
            self.changed.clear()


def _key(topic: str) -> bytes:
    return RESERVED + topic.encode()


def pack(numbers: Iterable[int]) -> bytes:
    """A set of view numbers, ascending, as bytes; empty for none."""
    packed = bytearray()
    last = 0
    for number in numbers:
        step, last = number - last, number
        while step > 0x7F:
            packed.append(step & 0x7F | 0x80)
            step >>= 7
        packed.append(step)
    return bytes(packed)


def unpack(packed: bytes) -> list[int]:
    """The inverse of `pack`."""
    numbers = []
    last = step = shift = 0
    for byte in packed:
        step |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            last += step
            numbers.append(last)
            step = shift = 0
    return numbers
