"""Whatever comes between, every view ends with what it must have, in order, and hears of nothing else.

A partition of shared is written, routed, scanned for new views, compacted, and taken over by other owners in any order.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bus.catalogue.avro_type import field_types
from bus.catalogue.predicate import Predicate
from bus.pipeline.codec import Decoders, decoder, encoder
from bus.pipeline.entity_views import EntityViews, ViewOutput
from bus.pipeline.memory import Memory
from bus.pipeline.record import one_by_one
from bus.pipeline.route import PartitionRouter
from bus.wire import CloudEvent, Headers
from tests.stages import through

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bus.pipeline.record import Output

SCHEMA = {
    "type": "record",
    "name": "p",
    "fields": [{"name": "division", "type": "string"}, {"name": "n", "type": "int"}],
}
MEMBERS = "_bus.members.c.p"
DIVISIONS = "AB"

encode, decode = encoder(5, SCHEMA), decoder(SCHEMA)


@dataclass(frozen=True)
class Record:
    """A record of shared: it says its own offset, so that what a view got can be told apart."""

    offset: int
    key: bytes
    division: str | None
    is_garbage: bool = False
    topic: str = "shared.c.p"
    partition: int = 0

    @property
    def value(self) -> bytes | None:
        if self.is_garbage:  # what filters read is there, and the rest is not
            return encode({"division": self.division or "", "n": self.offset}) + b"\xff"
        return None if self.division is None else encode({"division": self.division, "n": self.offset})

    @property
    def headers(self) -> Headers:
        return CloudEvent(str(self.offset), "c.p.v1", "urn:shuniu:t:1:g", "2026-11-22T00:00:00.000000Z").headers()


@dataclass
class View:
    """What a subscriber holds. It shows a division, or everybody (`*`)."""

    division: str
    topic_id: str
    state: dict[bytes, int] = field(default_factory=dict)
    last: dict[bytes, int] = field(default_factory=dict)

    def take(self, output: Output) -> None:
        assert output.key is not None
        offset = int(dict(output.headers)["ce_id"].split(b"/")[0])
        assert self.last.get(output.key, -1) < offset, "an older record after a newer one, or one twice"
        self.last[output.key] = offset
        if output.value is None:
            gone = self.state.pop(output.key, None)
            assert gone is not None or self.division == "*", "a tombstone of a key that was not there"
            return
        record = decode(output.value)
        assert self.division in {"*", record["division"]}, "a record of another division"
        self.state[output.key] = record["n"]


class World:
    """Shared, its owner, the views."""

    def __init__(self, *, in_order: bool) -> None:
        self.log: list[Record] = []
        self.written = 0
        self.routed = 0
        self.letters = Counter[int]()
        self.is_seen_whole = True
        """All that was ever written met a view of everybody that is still there."""
        self.doubtful = set[bytes]()
        """Keys of garbage that a lane's next owner took for changes: a view may be behind with them for that."""
        self.views: dict[str, View] = {}
        self.kept: dict[bytes, bytes | None] = {}
        self._in_order = in_order
        self._made = 0
        self._decoders = Decoders()
        self._decoders.add(5, SCHEMA)
        self._open()

    def _open(self) -> None:
        """As a lane opens: what was kept, then which keys changed since views joined, up to the end of the log."""
        self.memory = Memory()
        for key, value in self.kept.items():
            self.memory.take(key, value)
        joined = min((progress.until for progress in self.memory.filling.values()), default=self.written)
        if not self._in_order and self.memory.filling:
            changed = [record for record in self.log if record.offset >= joined]
            self.memory.changed.update((record.key, record.offset) for record in changed)
            self.doubtful.update(record.key for record in changed if record.is_garbage)
        self._adopt()

    def _adopt(self) -> None:
        made = [self._output(division, view.topic_id) for division, view in self.views.items()]
        entity = EntityViews(
            made, self._decoders, field_types(SCHEMA), MEMBERS, in_order=self._in_order, feeds={"1:g": "d.s"}
        )
        changes = self.memory.adopt(entity.topic_ids, self.routed)
        self.router = PartitionRouter(entity, 0, self.memory)
        self._take(self.router.kept(changes))

    @staticmethod
    def _output(division: str, topic_id: str) -> ViewOutput:
        shown = None if division == "*" else Predicate(field="division", eq=division)
        return ViewOutput(division, 1, b"c.p.v1", 1, dict, encode, shown, topic_id)

    def _take(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            if output.topic == MEMBERS:
                assert output.key is not None
                self.kept[output.key] = output.value
            elif output.topic == "dlq.d.s":
                self.letters[int(dict(output.headers)["ce_id"] or b"")] += 1
            else:
                self.views[output.topic].take(output)

    def write(self, changes: Iterable[tuple[int, str | None]]) -> None:
        for key, division in changes:
            self.log.append(Record(self.written, b"%d" % key, division))
            self.written += 1

    def spoil(self, key: int, division: str) -> None:
        """Somebody else writes to shared."""
        self.is_seen_whole &= "*" in self.views
        self.log.append(Record(self.written, b"%d" % key, division, is_garbage=True))
        self.written += 1

    def write_and_route(self, changes: Iterable[tuple[int, str | None]]) -> None:
        self.write(changes)
        self.route(len(self.log))

    def route(self, count: int) -> None:
        some = [record for record in self.log if record.offset >= self.routed][:count]
        if some:
            self._take(through(self.router.live, some))
            self.routed = some[-1].offset + 1

    def subscribe(self, wanted: set[str]) -> None:
        self._made += 1
        kept = {division: view for division, view in self.views.items() if division in wanted}
        self.is_seen_whole &= not self.written or ("*" in kept)
        new = {division: View(division, f"{division}{self._made}") for division in wanted - kept.keys()}
        self.views = kept | new
        self._adopt()

    def scan(self, count: int) -> None:
        filling = self.memory.filling
        if not filling:
            return
        start = min(progress.next for progress in filling.values())
        some = [record for record in self.log if record.offset >= start][:count]
        reached = some[-1].offset + 1 if len(some) == count else self.written
        made = self.router.scanned(some)
        changes = self.memory.advance(reached, self.routed if self._in_order else 0)
        self.router.refresh()
        self._take([*one_by_one(made), *self.router.kept(changes)])

    def take_over(self) -> None:
        self._open()

    def compact(self) -> None:
        """All but the newest record of each key goes; of an entity that keeps every record, none."""
        if not self._in_order:
            newest = {record.key: record.offset for record in self.log if not record.is_garbage}
            self.log = [each for each in self.log if each.is_garbage or newest[each.key] == each.offset]

    def settle(self) -> None:
        self.route(len(self.log))
        while self.memory.filling:
            self.scan(3)

    def expected(self, division: str) -> dict[bytes, int]:
        newest = {record.key: record for record in self.log if not record.is_garbage}
        return {
            key: record.offset
            for key, record in newest.items()
            if record.division is not None and division in {"*", record.division}
        }


changes = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from([*DIVISIONS, DIVISIONS[0], None])), min_size=1, max_size=4
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), changes),
        st.tuples(st.just("write_and_route"), changes),
        st.tuples(st.just("route"), st.integers(1, 4)),
        st.tuples(st.just("subscribe"), st.sets(st.sampled_from([*DIVISIONS, "*"]), min_size=1)),
        st.tuples(st.just("scan"), st.integers(1, 3)),
        st.tuples(st.just("spoil"), st.integers(0, 3), st.sampled_from(DIVISIONS)),
        st.tuples(st.just("take_over")),
        st.tuples(st.just("compact")),
    ),
    min_size=6,
    max_size=20,
)


@settings(max_examples=500)
@given(steps, st.booleans())
def test_every_view_ends_with_what_it_must_have_in_order_and_hears_of_nothing_else(
    done: list[tuple[Any, ...]], in_order: bool
) -> None:
    world = World(in_order=in_order)
    for what, *arguments in done:
        getattr(world, what)(*arguments)
    world.settle()

    for division, view in world.views.items():
        expected = world.expected(division)
        assert {key for key, _ in view.state.items() ^ expected.items()} <= world.doubtful
    garbage = {record.offset for record in world.log if record.is_garbage}
    assert world.letters.keys() <= garbage
    if world.is_seen_whole:
        assert world.letters == Counter(garbage), "each has its dead letter, and no other"
