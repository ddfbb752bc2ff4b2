"""A lane takes up its open rejects again, when `_bus.commands` says so.

Between two batches of live records it takes some of the selected rejects, reads their records again, normalises them
under the mappings as they are now, and commits in one transaction what became of them: outputs, entries, and how far it
has come. A lane is killed with all of that done or nothing of it, and its next owner goes on there.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from bus import wire
from bus.pipeline.command import Answer
from bus.pipeline.open_rejects import REDRIVEN, SUPERSEDED, Entry
from bus.pipeline.originals import Originals
from bus.pipeline.reject import Reject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bus.config import Connection
    from bus.pipeline.command import Redrive
    from bus.pipeline.normalise import DatasetNormaliser, Normalisers
    from bus.pipeline.open_rejects import OpenRejects
    from bus.pipeline.record import InputRecord, Output

    Place = tuple[str, int]

CHUNK: Final = 500
"""Rejects of one transaction: live records wait for at most that many."""

SLICE: Final = 500
"""Rejects that are looked at before the event loop gets its turn."""


class Todo(NamedTuple):
    """An open reject that a command has selected."""

    partition: int
    offset: int
    key: bytes


class Chunk(NamedTuple):
    """Some of them, read again.

    Attributes:
        todo: in order.
        originals: (partition, offset) → its record, of those that are still to be had.
    """

    todo: Sequence[Todo]
    originals: Mapping[tuple[int, int], InputRecord]


def renormalise(
    record: InputRecord, entry: Entry, normalisers: Sequence[DatasetNormaliser]
) -> tuple[Entry, list[Output]]:
    """What a rejected record becomes under the mappings as they are now, and what is to be remembered of it.

    Only mappings that had rejected it are asked: the others have put it out. A mapping that is gone rejects nothing.

    Raises:
        UnknownSchemaError: the record's writer schema is not at hand yet.
    """
    by_entity = {normaliser.entity: normaliser for normaliser in normalisers}
    outputs: list[Output] = []
    verdicts = []
    for verdict in entry.verdicts:
        if verdict not in entry.open:
            verdicts.append(verdict)
            continue
        normaliser = by_entity.get(verdict.entity)
        made = normaliser(record) if normaliser is not None else None
        if isinstance(made, Reject):
            same = (made.rule, made.field) == (verdict.rule, verdict.field)
            verdicts.append(verdict if same else verdict._replace(rule=made.rule, field=made.field, reason=made.reason))
            continue
        verdicts.append(verdict._replace(state=SUPERSEDED if normaliser is None else REDRIVEN))
        if made is not None:
            outputs.append(made)
    return entry._replace(verdicts=tuple(verdicts)), outputs


class LaneRedrives:
    """What a lane does of redrives while it is open.

    Args:
        connection: the cluster.
        rejects: the lane's memory.
        normalisers: of its inputs; replaced when the catalogue changes.
        chunk: rejects of one transaction.
    """

    def __init__(
        self, connection: Connection, rejects: OpenRejects, normalisers: Normalisers, chunk: int = CHUNK
    ) -> None:
        self.normalisers = normalisers
        self._chunk = chunk
        self._rejects = rejects
        self._originals = Originals(connection)
        self._command = ""
        self._todo: deque[Todo] = deque()

    def pending(self, commands: Sequence[Redrive], now: float) -> Redrive | None:
        """The oldest command that this lane has still to work on."""
        for command in commands:
            topic = wire.raw_topic(command.dataset)
            if command.is_valid(now) and topic in self.normalisers and self._places(topic):
                answer = self._answer(command)
                if answer is None or not answer.done:
                    return command
        return None

    async def next(self, command: Redrive) -> list[Todo]:
        """The rejects of a command that come next."""
        if self._command != command.id:
            self._command, self._todo = command.id, deque(await self._selected(command))
        return [self._todo.popleft() for _ in range(min(self._chunk, len(self._todo)))]

    async def read(self, command: Redrive, todo: Sequence[Todo]) -> Chunk:
        """These rejects with their records.

        Raises:
            BrokerUnavailableError: they cannot be read.
        """
        topic = wire.raw_topic(command.dataset)
        times: dict[int, dict[int, int]] = defaultdict(dict)
        for each in todo:
            if (entry := self._entry(topic, each)) is not None:
                times[each.partition][each.offset] = entry.time
        originals: dict[tuple[int, int], InputRecord] = {}
        for partition, offsets in times.items():
            found = await self._originals.read((topic, partition), offsets)
            originals |= {(partition, offset): record for offset, record in found.items()}
        return Chunk(todo, originals)

    def settle(self, command: Redrive, chunk: Chunk) -> list[Output]:
        """What became of them: outputs, entries, and how far the lane has come; nothing but the last in a dry run.

        Raises:
            UnknownSchemaError: a writer schema is not at hand yet; to be called again.
        """
        topic = wire.raw_topic(command.dataset)
        made: list[Output] = []
        changes: dict[int, dict[bytes, Entry]] = defaultdict(dict)
        counts: Counter[str] = Counter()
        rejected: Counter[str] = Counter()
        for todo in chunk.todo:
            entry = self._entry(topic, todo)
            record = chunk.originals.get((todo.partition, todo.offset))
            if entry is None or record is None:
                counts["superseded" if entry is None else "gone"] += 1
                continue
            after, outputs = renormalise(record, entry, self.normalisers[topic])
            if after.open:
                rejected[after.open[0].rule] += 1
            else:
                counts[after.verdicts[-1].state] += 1
            made += outputs
            if after != entry:
                changes[todo.partition][todo.key] = after
        answer = self._after(command, chunk, counts, rejected).encode()
        if command.dry_run:
            return [self._rejects.answered(command.dataset, command.id, answer)]
        for partition, entries in changes.items():
            made += self._rejects.settle((topic, partition), entries)
        return [*made, self._rejects.answered(command.dataset, command.id, answer)]

    def _after(self, command: Redrive, chunk: Chunk, counts: Mapping[str, int], rejected: Counter[str]) -> Answer:
        """The answer once a chunk is done."""
        answer = self._answer(command) or Answer(matched=len(chunk.todo) + len(self._todo))
        partition, offset, _ = chunk.todo[-1] if chunk.todo else Todo(answer.partition, answer.offset, b"")
        answer = replace(
            answer,
            done=not self._todo,
            partition=partition,
            offset=offset,
            redriven=answer.redriven + counts["redriven"],
            superseded=answer.superseded + counts["superseded"],
            gone=answer.gone + counts["gone"],
            rejected=dict(Counter(answer.rejected) + rejected),
        )
        if answer.done and answer.worked < answer.matched:  # settled while the lane changed its owner
            return replace(answer, superseded=answer.superseded + answer.matched - answer.worked)
        return answer

    async def close(self) -> None:
        """Let go of the clients."""
        await self._originals.close()

    def _answer(self, command: Redrive) -> Answer | None:
        answer = self._rejects.answers.get(command.id)
        return Answer.decode(answer) if answer is not None else None

    def _places(self, topic: str) -> list[Place]:
        return sorted(place for place in self._rejects.entries if place[0] == topic)

    async def _selected(self, command: Redrive) -> list[Todo]:
        """The open rejects that are meant, in raw's order, behind those that are done."""
        answer = self._answer(command)
        behind = (answer.partition, answer.offset) if answer is not None else (-1, -1)
        found = []
        for place in self._places(wire.raw_topic(command.dataset)):
            for number, (key, value) in enumerate(self._rejects.entries[place].items()):
                entry = Entry.decode(value)
                if (place[1], entry.offset) > behind and command.selection.takes(key, entry):
                    found.append(Todo(place[1], entry.offset, key))
                if number % SLICE == 0:
                    await asyncio.sleep(0)
        return sorted(found)

    def _entry(self, topic: str, todo: Todo) -> Entry | None:
        """The reject, if it is still the newest change of its key, and open."""
        value = self._rejects.entries[topic, todo.partition].get(todo.key)
        entry = Entry.decode(value) if value is not None else None
        return entry if entry is not None and entry.offset == todo.offset else None
