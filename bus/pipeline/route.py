"""The stage that fans shared records out to views: match, project and mask per view, on bytes where it can. No I/O.

A view with a row filter gets a record when the record passes, a tombstone when the key was in it and is no more, and
nothing at all, not even a tombstone, for a key that never was: that would tell of the key. Which keys are in which
filtered views is remembered per key (`bus.pipeline.memory`), and written to where it is kept only when it changes.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from bus import wire
from bus.kafka.partitions import partition_of
from bus.pipeline import native
from bus.pipeline.codec import decoder
from bus.pipeline.memory import pack, unpack
from bus.pipeline.native.nodes import NotNativeError
from bus.pipeline.predicate_index import PredicateIndex
from bus.pipeline.record import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bus.catalogue.avro_type import AvroType
    from bus.catalogue.predicate import Predicate
    from bus.pipeline.codec import Decoders
    from bus.pipeline.memory import Change, Memory, Progress
    from bus.pipeline.native import Convert
    from bus.pipeline.native.program import Program
    from bus.pipeline.record import InputRecord
    from bus.wire import Header

    Changes = dict[bytes, bytes | None]
    """Key → its new packed set; None or empty for no view."""


_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ViewOutput:
    """A view of an entity, as the stage needs it.

    Attributes:
        topic: `view.<name>.v<N>`.
        partitions: of that topic; divides the shared topic's, so that the partition follows without hashing anew.
        event_type: `ce_type`.
        revision: of the view; a part of `ce_id`.
        project: from a canonical record to the view's record.
        encode: from the view's record to a framed value.
        filter: rows that are shown; None for all.
        topic_id: Kafka's, of the topic as it is now (see `bus.pipeline.memory`).
        key: from a shared record's key to the view's, which then is a pseudonym; None where it is the same.
        program: `project` and `encode` for the compiled code, by the id and the schema of a writer of shared records;
            NotNativeError if it cannot be one. Without it there is only the reference.
    """

    topic: str
    partitions: int
    event_type: bytes
    revision: int
    project: Callable[[dict[str, Any]], dict[str, Any]]
    encode: Callable[[Any], bytes]
    filter: Predicate | None = None
    topic_id: str = ""
    key: Callable[[bytes], bytes] | None = None
    program: Callable[[int, dict[str, Any]], Program] | None = None


class Target:
    """A view with what stands in every record of it."""

    __slots__ = (
        "_converters",
        "_program",
        "_records",
        "encode",
        "id_suffix",
        "key",
        "partitions",
        "project",
        "topic",
        "type_header",
    )

    def __init__(self, view: ViewOutput, records: SharedRecords) -> None:
        self._records = records
        self._program = view.program if native.is_used() else None
        self._converters: dict[bytes, Convert] = {}
        self.topic = view.topic
        self.partitions = view.partitions
        self.type_header: Header = ("ce_type", view.event_type)
        self.id_suffix = f"/v{view.revision}".encode()
        self.project = view.project
        self.encode = view.encode
        self.key = view.key

    def output(self, record: InputRecord, headers: Mapping[str, bytes], shared: bytes | None) -> Output:
        """The view's record of a shared one.

        Args:
            record: of shared.
            headers: of it, by name.
            shared: its value; None makes a tombstone.

        Raises:
            UnknownSchemaError, BadRecordError: as `SharedRecords`.
        """
        key, partition = record.key, record.partition % self.partitions
        if self.key is not None:
            key = self.key(key or b"")
            partition = partition_of(key, self.partitions)
        value = None if shared is None else self._shown(shared)
        return Output(
            self.topic, partition, key, value, wire.derived_headers(headers, self.id_suffix, self.type_header)
        )

    def _shown(self, shared: bytes) -> bytes:
        """What the view shows of a record."""
        head = shared[: wire.FRAME_BYTES]
        convert = self._converters.get(head) or self._converters.setdefault(head, self._converter(shared))
        made = convert(b"", shared)
        return self.encode(self.project(self._records.whole(shared))) if made is None else made

    def _converter(self, shared: bytes) -> Convert:
        """By the compiled code, for the writer of a record; one that does nothing where there is none."""
        if self._program is None:
            return _left_to_the_reference
        writer, schema = self._records.writer(shared)
        try:
            return native.Interpreter(self._program(writer, schema)).convert
        except (NotNativeError, OverflowError) as reason:
            _log.info("shown by the reference", topic=self.topic, writer=writer, reason=str(reason))
            return _left_to_the_reference


def _left_to_the_reference(key: bytes, value: bytes) -> None:  # noqa: ARG001  a converter like others
    return None


class SharedRecords:
    """The records of an entity, decoded no more than is needed.

    Args:
        decoders: by writer schema id.
        filtered: the fields that filters read.

    Its methods raise UnknownSchemaError if the writer's schema is not at hand yet, and BadRecordError if a record does
    not decode, which only a foreign writer can cause.
    """

    def __init__(self, decoders: Decoders, filtered: frozenset[str]) -> None:
        self._decoders = decoders
        self._filtered = filtered
        self._partly: dict[int, Callable[[bytes], Any]] = {}
        self._last: tuple[bytes | None, Any] = (None, None)

    def writer(self, value: bytes) -> tuple[int, dict[str, Any]]:
        """The writer's schema id, and its schema."""
        number = wire.schema_id(value)
        return number, self._decoders.schema(number)

    def whole(self, value: bytes) -> dict[str, Any]:
        """A record; the same one for several views in a row is decoded once."""
        if self._last[0] is not value:
            self._last = (value, self._decoders.decode(wire.schema_id(value), value))
        found: dict[str, Any] = self._last[1]
        return found

    def filtered(self, value: bytes) -> dict[str, Any]:
        """The fields of a record that filters read."""
        number = wire.schema_id(value)
        decode = self._partly.get(number)
        if decode is None:
            decode = self._partly[number] = decoder(self._decoders.schema(number), only=self._filtered)
        found: dict[str, Any] = decode(value)
        return found


class ViewSet:
    """Some views of an entity, ready to be matched."""

    def __init__(self, views: Sequence[ViewOutput], decoders: Decoders, types: Mapping[str, AvroType]) -> None:
        filters = [view.filter for view in views if view.filter is not None]
        self._records = SharedRecords(decoders, frozenset[str]().union(*(each.fields for each in filters)))
        self._index = PredicateIndex(filters, types)
        self.unfiltered = [Target(view, self._records) for view in views if view.filter is None]
        self.filtered = [Target(view, self._records) for view in views if view.filter is not None]

    def matches(self, value: bytes | None) -> tuple[int, ...]:
        """The positions of the filtered views that a record passes; of none, for a deletion.

        Raises:
            UnknownSchemaError, BadRecordError: as `SharedRecords`.
        """
        return () if value is None else self._index.matches(self._records.filtered(value))


class EntityViews:
    """The views of one entity, compiled; the same for all of its partitions.

    Args:
        views: who gets records.
        decoders: of shared records.
        types: of the entity's fields.
        members_topic: `_bus.members.<entity>`.
        in_order: the entity keeps every record (`nature: event`): a view that is being filled gets all of them in the
            order of shared, so live records only once the scan has caught up with them.
    """

    def __init__(
        self,
        views: Sequence[ViewOutput],
        decoders: Decoders,
        types: Mapping[str, AvroType],
        members_topic: str,
        *,
        in_order: bool = False,
    ) -> None:
        self.views = views
        self.decoders = decoders
        self.members_topic = members_topic
        self.in_order = in_order
        self.topic_ids = {view.topic: view.topic_id for view in views}
        self._types = types
        self._sets: dict[frozenset[str], ViewSet] = {}

    def select(self, topics: frozenset[str]) -> ViewSet:
        """Those of these topics."""
        if topics not in self._sets:
            views = [view for view in self.views if view.topic in topics]
            self._sets[topics] = ViewSet(views, self.decoders, self._types)
        return self._sets[topics]


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
        self._live = _Numbered(self._entity.select(live), everything)
        self._filling = _Numbered(self._entity.select(frozenset(filling)), filling) if filling else None

    def live(self, records: Sequence[InputRecord]) -> list[Output]:
        """The outputs of new records, in their order.

        Raises:
            UnknownSchemaError: the writer schema is not at hand yet.
            BadRecordError: a shared record does not decode, which only a foreign writer can cause.
        """
        made: list[Output] = []
        changes: Changes = {}
        views = self._live
        unfiltered, filtered = views.views.unfiltered, views.views.filtered
        for record in records:
            if unfiltered:
                headers = dict(record.headers)
                for target in unfiltered:
                    made.append(target.output(record, headers, record.value))  # noqa: PERF401  mostly there is only one
            if filtered:
                hits = views.views.matches(record.value)
                if hits or self._known(record, changes):
                    self._move(record, hits, views, made, changes)
        if self._filling is not None and not self._entity.in_order:
            self._memory.changed.update((record.key or b"", record.offset) for record in records)
        if changes:
            made += self._settle(changes)
        return made

    def scanned(self, records: Sequence[InputRecord]) -> list[Output]:
        """The outputs of older records to the views that are being filled; see `_Numbered.open_to`.

        Raises:
            UnknownSchemaError, BadRecordError: as `live`.
        """
        made: list[Output] = []
        changes: Changes = {}
        if self._filling is not None:
            for record in records:
                self._scan(record, self._filling, made, changes)
        made += self._settle(changes)
        return made

    def _scan(self, record: InputRecord, views: _Numbered, made: list[Output], changes: Changes) -> None:
        changed_at = self._memory.changed.get(record.key or b"", -1)
        open_to = views.open_to(record.offset, changed_at)
        if not open_to:
            return
        headers = dict(record.headers)
        unfiltered = (target for target in views.views.unfiltered if target.topic in open_to)
        made += [target.output(record, headers, record.value) for target in unfiltered]
        filtered = views.views.filtered
        hits = tuple(hit for hit in views.views.matches(record.value) if filtered[hit].topic in open_to)
        if hits or self._known(record, changes):
            self._move(record, hits, views, made, changes, open_to)

    def _known(self, record: InputRecord, changes: Changes) -> bytes | None:
        """The set that the key is in before the record."""
        key = record.key or b""
        return changes[key] if key in changes else self._memory.sets.get(key)

    def _move(  # noqa: PLR0913, PLR0917  the record, what it passes, and the four things that it moves
        self,
        record: InputRecord,
        hits: tuple[int, ...],
        views: _Numbered,
        made: list[Output],
        changes: Changes,
        open_to: frozenset[str] | None = None,
    ) -> None:
        """The record to the views that it passes, a tombstone to those that its key leaves."""
        headers = dict(record.headers)
        filtered = views.views.filtered
        made += [filtered[hit].output(record, headers, record.value) for hit in hits]
        before = self._known(record, changes) or b""
        alone = views.packed(hits)
        if before == alone:
            return
        staying = {views.numbers[hit] for hit in hits}
        for number in unpack(before):
            position = views.positions.get(number)
            if position is None or (open_to is not None and filtered[position].topic not in open_to):
                staying.add(number)
            elif number not in staying:
                made.append(filtered[position].output(record, headers, None))
        after = pack(sorted(staying & self._numbers))
        if after != before:
            changes[record.key or b""] = after

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

    def __call__(self, records: Sequence[InputRecord]) -> list[Output]:
        """The outputs of new records of one partition to all views, in the records' order.

        Raises:
            UnknownSchemaError: a writer schema is not at hand yet.
        """
        if not records:
            return []
        return self._routers[records[0].topic, records[0].partition].live(records)
