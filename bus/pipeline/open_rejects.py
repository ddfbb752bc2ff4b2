"""Which keys have a rejected change that is not mended, as a lane of the normalise stage remembers it.

It is kept in `_bus.rejects.<dept>`, partition N for lane N, written in the transactions of the outputs that it is
about, and read when the lane opens. Only a key's newest change counts: to take up an older one would bring back the
past. Records of that topic:

====================================  ================================================================================
key                                   value
====================================  ================================================================================
`<dataset>/<partition of raw>/<key>`  JSON, see `Entry`: the change that was rejected, and what became of it. Written
                                      when it is rejected and when it is settled; not by changes of other keys.
0xFF, the id of a command             JSON, see `bus.pipeline.command.Answer`: how far the lane has carried it out.
====================================  ================================================================================

0xFF begins no dataset's name.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from bus import wire
from bus.kafka.compacted import read_partitions
from bus.pipeline.record import Output

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bus.config import Connection

    Place = tuple[str, int]

RESERVED: Final = b"\xff"

OPEN: Final = "open"
SUPERSEDED: Final = "superseded"
REDRIVEN: Final = "redriven"


class Verdict(NamedTuple):
    """What one mapping said of the change.

    Attributes:
        entity: that the mapping feeds.
        rule, field: what the change broke; see `Reject`.
        state: open, superseded or redriven.
        reason: why it is still rejected, if a redrive has found another reason than the dead letter tells.
    """

    entity: str
    rule: str
    field: str
    state: str = OPEN
    reason: str = ""

    def told(self) -> dict[str, str]:
        """As it stands in the entry's JSON."""
        told = {"entity": self.entity, "rule": self.rule, "field": self.field, "state": self.state}
        return told | {"reason": self.reason} if self.reason else told


class Entry(NamedTuple):
    """The newest change of a key that was rejected.

    Attributes:
        offset: of the change in its partition of raw.
        time: when it was rejected, milliseconds since 1970.
        verdicts: of the mappings that rejected it.
    """

    offset: int
    time: int
    verdicts: tuple[Verdict, ...]

    @property
    def open(self) -> list[Verdict]:
        """The verdicts that still stand."""
        return [verdict for verdict in self.verdicts if verdict.state == OPEN]

    def superseded(self) -> Entry:
        """A later change of the key is good."""
        verdicts = (each._replace(state=SUPERSEDED) if each.state == OPEN else each for each in self.verdicts)
        return self._replace(verdicts=tuple(verdicts))

    def encode(self) -> bytes:
        """JSON; no value of the change."""
        return f'{{"offset":{self.offset},"time":{self.time},"rejects":{_told(self.verdicts)}}}'.encode()

    @classmethod
    def decode(cls, value: bytes) -> Entry:
        """The inverse of `encode`."""
        told = json.loads(value)
        return cls(told["offset"], told["time"], tuple(Verdict(**each) for each in told["rejects"]))


@lru_cache(maxsize=1024)
def _told(verdicts: tuple[Verdict, ...]) -> str:
    """Verdicts in JSON: the same few come again and again."""
    return json.dumps([each.told() for each in verdicts], ensure_ascii=False, separators=(",", ":"))


class StateKey(NamedTuple):
    """What the key of an entry says."""

    dataset: str
    partition: int
    key: bytes

    def encode(self) -> bytes:
        """The record's key."""
        return f"{self.dataset}/{self.partition}/".encode() + self.key

    @classmethod
    def decode(cls, record_key: bytes) -> StateKey:
        """The inverse of `encode`."""
        dataset, partition, key = record_key.split(b"/", 2)
        return cls(dataset.decode(), int(partition), key)


class OpenRejects:
    """One lane's memory. Entries stay encoded: most are never looked at again by the lane that opened them.

    Args:
        lane: its number.
        places: the input partitions that the lane owns.

    Attributes:
        entries: input partition → key → its entry, encoded; open ones only.
        answers: id of a command → the lane's answer, encoded.
    """

    def __init__(self, lane: int, places: Iterable[Place]) -> None:
        self.lane = lane
        self.entries: dict[Place, dict[bytes, bytes]] = {place: {} for place in places}
        self.answers: dict[str, bytes] = {}

    def take(self, record_key: bytes, value: bytes | None) -> None:
        """Take in a record of the topic."""
        if record_key.startswith(RESERVED):
            if value is not None:
                self.answers[record_key[1:].decode()] = value
            return
        dataset, partition, key = StateKey.decode(record_key)
        opened = self.entries.get((wire.raw_topic(dataset), partition))
        if opened is None:
            return
        if value is not None and Entry.decode(value).open:
            opened[key] = value
        else:
            opened.pop(key, None)

    def settle(self, place: Place, changes: Mapping[bytes, Entry]) -> list[Output]:
        """Remember these entries of keys of an input partition; the records that keep them."""
        opened = self.entries[place]
        dataset = place[0].removeprefix("raw.")
        topic, prefix = wire.rejects_topic(department_of(dataset)), StateKey(dataset, place[1], b"").encode()
        made = []
        for key, entry in changes.items():
            value = entry.encode()
            if entry.open:
                opened[key] = value
            else:
                opened.pop(key, None)
            made.append(Output(topic, self.lane, prefix + key, value, []))
        return made

    def answered(self, dataset: str, command: str, answer: bytes) -> Output:
        """Remember how far a command is carried out; the record that keeps it."""
        self.answers[command] = answer
        return Output(wire.rejects_topic(department_of(dataset)), self.lane, RESERVED + command.encode(), answer, [])


async def recall(connection: Connection, lane: int, places: Iterable[Place]) -> OpenRejects:
    """What the lane's last owner kept.

    Raises:
        BrokerUnavailableError: it cannot be read to its end.
    """
    rejects = OpenRejects(lane, places)
    departments = {department_of(topic.removeprefix("raw.")) for topic, _ in rejects.entries}
    topics = {(wire.rejects_topic(department), lane): 0 for department in departments}
    await read_partitions(connection, topics, lambda record: rejects.take(record.key, record.value))
    return rejects


def department_of(dataset: str) -> str:
    """The department that publishes a dataset: the first word of its name."""
    return dataset.split(".", maxsplit=1)[0]
