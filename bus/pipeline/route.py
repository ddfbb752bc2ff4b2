"""The stage that fans shared records out to views: which of them get a record, and which a tombstone. No I/O.

A view with a row filter gets a record when the record passes, a tombstone when the key was in it and is no more, and
nothing at all, not even a tombstone, for a key that never was: that would tell of the key. Which keys are in which
filtered views is remembered per key (`bus.pipeline.memory`), and written to where it is kept only when it changes.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from bus.kafka.native import Packing, Records
from bus.pipeline import native
from bus.pipeline.codec import UnknownSchemaError
from bus.pipeline.entity_views import SharedBodies
from bus.pipeline.memory import RESERVED, pack, unpack
from bus.pipeline.record import Output, keys
from bus.pipeline.reject import Reject, RejectedError
from bus.pipeline.unroutable import dead_letters, place_of, reject_of
from bus.pipeline.writer_schema import BadRecordError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bus.pipeline.entity_views import EntityViews, Target, ViewSet
    from bus.pipeline.memory import Change, Memory, Progress
    from bus.pipeline.record import InputRecord, Made

    Changes = dict[bytes, bytes | None]
    """Key → its new packed set; None or empty for no view."""


class _Numbered:
    """A set of views by the numbers that they have in one partition."""

    def __init__(self, views: ViewSet, progress: Mapping[str, Progress]) -> None:
        self.views = views
        spans: dict[tuple[int, int], set[str]] = defaultdict(set)
        for topic, each in progress.items():
            spans[each.next, each.until].add(topic)
        self._spans = {span: frozenset(topics) for span, topics in spans.items()}
        self.numbers = [progress[target.topic].number for target in views.filtered]
        self.positions = {number: position for position, number in enumerate(self.numbers)}
        self._packed: dict[tuple[int, ...], bytes] = {(): b""}

    def packed(self, hits: tuple[int, ...]) -> bytes:
        """The set of the views at these positions, and of no other."""
        found = self._packed.get(hits)
        if found is None:
            found = self._packed[hits] = pack(sorted(self.numbers[hit] for hit in hits))
        return found

    def open_to(self, offset: int, changed_at: int) -> frozenset[str]:
        """The views that the scan may write the record at an offset to, by their topics.

        Args:
            offset: of the record.
            changed_at: offset of the last record of its key that is known to live work; -1 for none.

        The invariant of filling: a record that was scanned never overwrites a newer one. A view joins at offset N of
        shared: live work gives it every record from N on; the scan, which reads what lies below N in shared's order,
        gives it no record of a key that has one at N or above. While a lane is open it notes these keys as they pass;
        when it opens, it finds them by reading shared from N to its end (not only to where live work stands, so that
        nothing rests on what compaction has left in between).
        """
        open_to = [
            topics for (after, until), topics in self._spans.items() if after <= offset < until and changed_at < until
        ]
        return open_to[0] if len(open_to) == 1 else frozenset().union(*open_to)


class _Outputs:
    """What becomes of some records, by the reference: record by record."""

    def __init__(self, records: Sequence[InputRecord]) -> None:
        self.records = records
        self._made: list[Made] = []

    def put(self, target: Target, place: int) -> None:
        """A view's record of one."""
        record = self.records[place]
        self._made.append(target.output(record, dict(record.headers), record.value))

    def bury(self, target: Target, place: int) -> None:
        """A view's tombstone."""
        record = self.records[place]
        self._made.append(target.output(record, dict(record.headers), None))

    def made(self) -> list[Made]:
        """All of it, each view's in order."""
        return self._made


def _refuse_other(target: Target, record: InputRecord) -> None:
    """See that a record because of which a key leaves a view is one that the view could show.

    Where no view takes the record, nothing is looked at but the fields that filters read: one that is damaged behind
    them, or of another kind without them, would delete the key.

    Raises:
        UnknownSchemaError, BadRecordError: as `SharedRecords`; and what else there is when it cannot be shown.
    """
    if record.value is not None:
        target.output(record, dict(record.headers), record.value)


class _PackedOutputs:
    """The same by the compiled code, view by view, once it is known which records each gets."""

    def __init__(self, records: Records) -> None:
        self.records = records
        self._unfiltered: list[Target] = []
        self._places: defaultdict[Target, list[int]] = defaultdict(list)

    def put_all(self, target: Target) -> None:
        """A view's records of all."""
        self._unfiltered.append(target)

    def put(self, target: Target, place: int) -> None:
        """A view's record of one."""
        self._places[target].append(place)

    def bury(self, target: Target, place: int) -> None:
        """A view's tombstone."""
        self._places[target].append(~place)

    def made(self) -> list[Made]:
        """All of it, each view's in order.

        Raises:
            UnknownSchemaError, BadRecordError: as `SharedRecords`.
        """
        made: list[Made] = []
        shared = SharedBodies(self.records)
        for target in self._unfiltered:
            packing = Packing(target.topic, target.partitions)
            target.take(self.records, packing, shared)
            made += packing.packed()
        for target, places in self._places.items():
            packing = Packing(target.topic, target.partitions)
            target.take_some(self.records, places, packing, shared)
            made += packing.packed()
        return made


class PartitionRouter:
    """Routes the records of one partition of an entity.

    Args:
        entity: its views.
        partition: of shared.
        memory: of that partition; what a call changes in it, it changes at its end, so that a call that failed may be
            made again.
    """

    def __init__(self, entity: EntityViews, partition: int, memory: Memory) -> None:
        self._entity = entity
        self._partition = partition
        self._memory = memory
        self.refresh()

    def refresh(self) -> None:
        """Take up which views are live and which are being filled, after that has changed."""
        everything = self._memory.views
        filling = self._memory.filling
        self._numbers = {each.number for each in everything.values()}  # a set may still name a view that is gone
        live = frozenset(everything.keys() - filling.keys() if self._entity.in_order else everything)
        self._views = _Numbered(self._entity.select(live), everything)
        self._filling = _Numbered(self._entity.select(frozenset(filling)), filling) if filling else None

    def live(self, records: Sequence[InputRecord]) -> list[Made]:
        """The outputs of new records, in their order.

        Raises:
            UnknownSchemaError: the writer schema is not at hand yet.
            MissingSchemaError: the registry does not have it; says where.
            BadRecordError: a record cannot be routed, and no dataset feeds the entity that could have its dead letter.
        """
        changes: Changes = {}
        outputs, bad = self._around_bad(records, self._live, changes)
        if self._filling is not None and not self._entity.in_order:
            good = (record for place, record in enumerate(records) if place not in bad)
            self._memory.changed.update((record.key or b"", record.offset) for record in good)
        return [*outputs, *dead_letters(records, bad, self._entity.feeds), *self._settle(changes)]

    def _live(self, records: Sequence[InputRecord], changes: Changes) -> list[Made]:
        made: _Outputs | _PackedOutputs
        if native.is_used() and isinstance(records, Records):
            made = _PackedOutputs(records)
            self._route_whole(records, made, changes)
        else:
            made = _Outputs(records)
            self._route(records, made, changes)
        return made.made()

    def _around_bad(
        self,
        records: Sequence[InputRecord],
        make: Callable[[Sequence[InputRecord], Changes], list[Made]],
        changes: Changes,
    ) -> tuple[list[Made], dict[int, Reject]]:
        """What is made of records; and by their places those that cannot be routed, if there are any, and why."""
        try:
            return make(records, changes), {}
        except UnknownSchemaError:
            raise
        except Exception as error:
            changes.clear()
            made: list[Made] = []
            bad: dict[int, Reject] = {}
            for place in range(len(records)):  # one by one: what is made of one depends on those before it
                after = dict(changes)
                try:
                    made += make(records[place : place + 1], after)
                    changes.update(after)
                except Exception as found:  # noqa: BLE001  see `reject_of`
                    bad[place] = reject_of(found, records[place])
            if not bad:
                raise
            if not self._entity.feeds:
                record, why = records[min(bad)], bad[min(bad)]
                raise BadRecordError(why.reason, where=place_of(record)) from error
            return made, bad

    def _route(self, records: Sequence[InputRecord], made: _Outputs, changes: Changes) -> None:
        views = self._views
        for place, record in enumerate(records):
            for target in views.views.unfiltered:
                made.put(target, place)
            if views.views.filtered:
                hits = views.views.matches(record.value)
                if hits or self._known(record.key, changes):
                    self._move((place, record.key), hits, views, made, changes)

    def _route_whole(self, records: Records, made: _PackedOutputs, changes: Changes) -> None:
        """The same with the compiled code: view by view, and beyond that only records that come or go."""
        views = self._views
        for target in views.views.unfiltered:
            made.put_all(target)
        if not views.views.filtered:
            return
        known, filtered, packed = self._memory.sets, views.views.filtered, views.packed
        for place, (hits, key) in enumerate(zip(views.views.hits(records), records.keys(), strict=True)):
            if hits and key not in changes and key in known and known[key] == packed(hits):  # as most are
                for hit in hits:
                    made.put(filtered[hit], place)
            elif hits or key in known or key in changes:
                self._move((place, key), hits, views, made, changes)

    def fitting(self, records: Sequence[InputRecord], most: int) -> int:
        """How many records, from the first on, write to so many topics at most; one at least.

        Raises:
            UnknownSchemaError, MissingSchemaError: as `live`.
        """
        try:
            return self._fitting(records, most)
        except UnknownSchemaError:
            raise
        except Exception:
            for place in range(len(records)):
                try:
                    self._fitting(records[place : place + 1], most)
                except Exception as found:  # noqa: BLE001  see `reject_of`
                    reject_of(found, records[place])
                    return max(1, place)  # what is bad goes by itself: its dead letter is one topic
            raise

    def _fitting(self, records: Sequence[InputRecord], most: int) -> int:
        views = self._views
        if not views.views.filtered:
            return len(records)
        room = most - len(views.views.unfiltered) - 1  # and the one of `_bus.members`
        numbers = set[int]()
        found = views.views.hits(records, keep=True)
        for place, (hits, key) in enumerate(zip(found, keys(records), strict=True)):
            known = self._memory.sets.get(key or b"")
            if hits or known:
                numbers.update(map(views.numbers.__getitem__, hits), unpack(known or b""))
                if len(numbers) > room:
                    return max(1, place)
        return len(records)

    def scanned(self, records: Sequence[InputRecord]) -> list[Made]:
        """The outputs of older records to the views that are being filled; see `_Numbered.open_to`.

        Raises:
            UnknownSchemaError, MissingSchemaError, BadRecordError: as `live`.
        """
        changes: Changes = {}
        made, bad = self._around_bad(records, self._scanned, changes)
        told = {place: why for place, why in bad.items() if self._is_new(records[place].offset)}
        return [*made, *dead_letters(records, told, self._entity.feeds), *self._settle(changes)]

    def _scanned(self, records: Sequence[InputRecord], changes: Changes) -> list[Made]:
        made = _Outputs(records)
        if self._filling is not None:
            for place, record in enumerate(records):
                self._scan(place, record, self._filling, made, changes)
        return made.made()

    def _is_new(self, offset: int) -> bool:
        """Whether no view without a filter, since these look at all of a record, has met the one at an offset."""
        known = self._memory.views
        whole = [known[view.topic] for view in self._entity.views if view.filter is None and view.topic in known]
        met_live = [view for view in whole if view.is_live or not self._entity.in_order]
        return not any(view.until <= offset for view in met_live) and all(view.next <= offset for view in whole)

    def _scan(self, place: int, record: InputRecord, views: _Numbered, made: _Outputs, changes: Changes) -> None:
        changed_at = self._memory.changed.get(record.key or b"", -1)
        open_to = views.open_to(record.offset, changed_at)
        if not open_to:
            return
        for target in views.views.unfiltered:
            if target.topic in open_to:
                made.put(target, place)
        filtered = views.views.filtered
        hits = tuple(hit for hit in views.views.matches(record.value) if filtered[hit].topic in open_to)
        if hits or self._known(record.key, changes):
            self._move((place, record.key), hits, views, made, changes, open_to)

    def _known(self, key: bytes | None, changes: Changes) -> bytes | None:
        """The set that a key is in before its record."""
        key = key or b""
        return changes[key] if key in changes else self._memory.sets.get(key)

    def _move(  # noqa: PLR0913, PLR0917  the record, what it passes, and the four things that it moves
        self,
        record: tuple[int, bytes | None],
        hits: tuple[int, ...],
        views: _Numbered,
        made: _Outputs | _PackedOutputs,
        changes: Changes,
        open_to: frozenset[str] | None = None,
    ) -> None:
        """The record (its place, its key) to the views that it passes, a tombstone to those that its key leaves."""
        place, key = record
        if (key or b"").startswith(RESERVED):
            raise RejectedError(Reject("key", "", "its key is no UTF-8"))
        filtered = views.views.filtered
        for hit in hits:
            made.put(filtered[hit], place)
        before = self._known(key, changes) or b""
        alone = views.packed(hits)
        if before == alone:
            return
        staying = {views.numbers[hit] for hit in hits}
        for number in unpack(before):
            position = views.positions.get(number)
            if position is None or (open_to is not None and filtered[position].topic not in open_to):
                staying.add(number)
            elif number not in staying:
                if not hits:
                    _refuse_other(filtered[position], made.records[place])
                made.bury(filtered[position], place)
        after = pack(sorted(staying & self._numbers))
        if after != before:
            changes[key or b""] = after

    def _settle(self, changes: Changes) -> list[Output]:
        for key, packed in changes.items():
            self._memory.keep(key, packed)
        return self.kept([(key, packed or None) for key, packed in changes.items()])

    def kept(self, changes: Sequence[Change]) -> list[Output]:
        """The records of `_bus.members.<entity>` that keep a change of the memory."""
        topic = self._entity.members_topic
        return [Output(topic, self._partition, key, value, []) for key, value in changes]


class Route:
    """The stage of a lane: each of its shared partitions has its router."""

    def __init__(self, routers: Mapping[tuple[str, int], PartitionRouter]) -> None:
        self._routers = routers

    def __call__(self, records: Sequence[InputRecord]) -> list[Made]:
        """The outputs of new records of one partition to all views, in the records' order.

        Raises:
            UnknownSchemaError, MissingSchemaError, BadRecordError: as `PartitionRouter.live`.
        """
        if not records:
            return []
        return self._routers[records[0].topic, records[0].partition].live(records)

    def fitting(self, records: Sequence[InputRecord], most: int) -> int:
        """How many records, from the first on, write to so many topics at most; one at least.

        Raises:
            UnknownSchemaError, MissingSchemaError: as `PartitionRouter.live`.
        """
        return self._routers[records[0].topic, records[0].partition].fitting(records, most)
