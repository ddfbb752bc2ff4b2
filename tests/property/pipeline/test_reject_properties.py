"""Whatever comes between, a key ends with its newest change, or with the last one that the mapping takes; never older.

Changes of some keys are normalised, redriven in chunks, and the lane is taken over, in any order; the mapping is mended
on the way: what it rejected before, it takes from then on.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bus.config import Connection
from bus.pipeline.command import Answer, Redrive, Selection
from bus.pipeline.normalise import DatasetNormaliser, Normalise
from bus.pipeline.open_rejects import Entry, OpenRejects, StateKey
from bus.pipeline.record import Output, one_by_one
from bus.pipeline.redrive import Chunk, LaneRedrives
from bus.pipeline.reject import Reject

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bus.pipeline.record import InputRecord
    from bus.wire import Headers

DATASET = "d.s"
PLACE = ("raw.d.s", 0)
ENTITIES = ("c.one", "c.two")


@dataclass(frozen=True)
class Change:
    """A raw change. It breaks a rule of some mappings, until those are mended; `deleted` breaks none."""

    offset: int
    key: bytes
    bad_for: frozenset[str]
    deleted: bool = False
    topic: str = PLACE[0]
    partition: int = PLACE[1]
    value: bytes = b"x"
    headers: Headers = field(default_factory=list)


class Rule(DatasetNormaliser):
    """A mapping to one entity, as simple as can be: the shared record says the offset that it was made of."""

    def __init__(self, entity: str) -> None:
        self.entity = entity
        self.mended = False
        self.revision = 1

    def __call__(self, record: InputRecord) -> Output | Reject | None:
        assert isinstance(record, Change)
        if self.entity in record.bad_for and not self.mended:
            return Reject("codes", "status", "is not in the code list")
        value = None if record.deleted else b"%d" % record.offset
        identity = f"{record.offset}/m{self.revision}".encode()
        return Output(f"shared.{self.entity}", 0, record.key, value, [("ce_id", identity)])

    def letter(self, record: InputRecord, reject: Reject) -> Output:
        return Output(f"dlq.{DATASET}", 0, record.key, record.value, [("bus_reject_rule", reject.rule.encode())])


class World:
    """Raw, its lane, and what stands on shared."""

    def __init__(self) -> None:
        self.raw: list[Change] = []
        self.shared: dict[str, dict[bytes, int]] = {entity: {} for entity in ENTITIES}
        self.kept: dict[bytes, bytes | None] = {}
        self.commands: list[Redrive] = []
        self.rules = [Rule(entity) for entity in ENTITIES]
        self._identities: set[tuple[str, bytes, bytes]] = set()
        self.take_over()

    def take_over(self) -> None:
        """As a lane opens: what its last owner kept; nothing else is remembered."""
        self.rejects = OpenRejects(3, [PLACE])
        for key, value in self.kept.items():
            self.rejects.take(key, value)
        self.stage = Normalise({PLACE[0]: self.rules}, self.rejects, lambda: 1.0)
        self.redrives = LaneRedrives(Connection(), self.rejects, {PLACE[0]: self.rules}, chunk=1)

    def change(self, some: Sequence[tuple[int, int, bool]]) -> None:
        batch = []
        for key, bad, deleted in some:
            bad_for = frozenset(entity for number, entity in enumerate(ENTITIES) if bad >> number & 1 and not deleted)
            batch.append(Change(len(self.raw), b"k%d" % key, bad_for, deleted))
            self.raw.append(batch[-1])
        self._take(one_by_one(self.stage(batch)))

    def mend(self, which: int) -> None:
        self.rules[which].mended = True
        self.rules[which].revision += 1

    def command(self) -> None:
        self.commands.append(Redrive(f"c{len(self.commands)}", DATASET, Selection(), False, len(self.commands)))

    def redrive(self) -> None:
        """One chunk of what was asked for; the records are read from raw."""
        if (command := self.redrives.pending(self.commands, 0.0)) is not None:
            self._take(self.redrives.settle(command, asyncio.run(self._read(command))))

    async def _read(self, command: Redrive) -> Chunk:
        todo = await self.redrives.next(command)
        return Chunk(todo, {(each.partition, each.offset): self.raw[each.offset] for each in todo})

    def _take(self, outputs: Iterable[Output]) -> None:
        for topic, partition, key, value, headers in outputs:
            assert key is not None
            if topic.startswith("_bus.rejects."):
                assert (topic, partition) == ("_bus.rejects.d", 3)
                self.kept[key] = value
            elif topic.startswith("shared."):
                identity = (topic, key, dict(headers)["ce_id"])
                assert identity not in self._identities, "a record twice"
                self._identities.add(identity)
                offset = int(identity[2].split(b"/")[0])
                held = self.shared[topic.removeprefix("shared.")]
                assert offset > held.get(key, -1), "an older record after a newer one"
                held[key] = offset

    def newest(self, key: bytes) -> Change:
        return [change for change in self.raw if change.key == key][-1]


changes = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.booleans()), min_size=1, max_size=4)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("change"), changes),
        st.tuples(st.just("change"), changes),
        st.tuples(st.just("mend"), st.integers(0, 1)),
        st.tuples(st.just("command")),
        st.tuples(st.just("redrive")),
        st.tuples(st.just("take_over")),
    ),
    max_size=25,
)


@settings(max_examples=400)
@given(steps)
def test_once_the_mappings_are_mended_a_redrive_brings_every_key_to_its_newest_change(
    done: list[tuple[Any, ...]],
) -> None:
    world = World()
    for what, *arguments in done:
        getattr(world, what)(*arguments)
    for which in range(len(ENTITIES)):
        world.mend(which)
    world.command()
    while world.redrives.pending(world.commands, 0.0) is not None:
        world.redrive()

    for held in world.shared.values():
        assert held == {change.key: world.newest(change.key).offset for change in world.raw}
    assert not world.rejects.entries[PLACE]
    told = {StateKey.decode(key): Entry.decode(value or b"") for key, value in world.kept.items() if key[:1] != b"\xff"}
    assert not [entry for entry in told.values() if entry.open]


@settings(max_examples=400)
@given(steps)
def test_what_is_not_mended_leaves_the_last_good_version_and_stays_open(done: list[tuple[Any, ...]]) -> None:
    world = World()
    for what, *arguments in done:
        if what != "mend":
            getattr(world, what)(*arguments)
    world.command()
    while world.redrives.pending(world.commands, 0.0) is not None:
        world.redrive()

    for entity, held in world.shared.items():
        good = [change for change in world.raw if entity not in change.bad_for]
        assert held == {change.key: change.offset for change in good}
    bad = {change.key: change for change in world.raw}
    opened = {key: Entry.decode(value) for key, value in world.rejects.entries[PLACE].items()}
    assert {key: entry.offset for key, entry in opened.items()} == {
        key: change.offset for key, change in bad.items() if change.bad_for
    }
    for key, entry in opened.items():
        assert {verdict.entity for verdict in entry.open} == bad[key].bad_for


def test_the_counts_of_a_command_are_right_though_its_lane_is_taken_over_in_the_middle() -> None:
    world = World()
    world.change([(key, 1, False) for key in range(7)])
    world.command()
    world.redrive()
    world.mend(0)
    world.change([(6, 0, False)])
    world.take_over()
    while world.redrives.pending(world.commands, 0.0) is not None:
        world.redrive()

    answer = Answer.decode(world.rejects.answers["c0"])
    assert (answer.matched, answer.rejected, answer.redriven, answer.superseded) == (7, {"codes": 1}, 5, 1)


def test_a_reject_that_a_newer_one_has_replaced_since_it_was_selected_is_left_alone() -> None:
    world = World()
    world.change([(0, 1, False), (1, 1, False)])
    world.mend(0)
    world.command()
    world.redrive()
    world.change([(1, 2, False)])
    world.redrive()

    assert world.shared == {"c.one": {b"k0": 0, b"k1": 2}, "c.two": {b"k0": 0, b"k1": 1}}
    assert Answer.decode(world.rejects.answers["c0"]).superseded == 1
