"""The stage that fans shared records out to views: match, project and mask per view, on bytes where it can. No I/O.

A view with a row filter gets a record when the record passes, a tombstone when the key was in it and is no more, and
nothing at all, not even a tombstone, for a key that never was: that would tell of the key. Which keys are in which
filtered views is remembered per key (`bus.pipeline.memory`), and written to where it is kept only when it changes.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog

from bus import wire
from bus.kafka.native import Packing, Records
from bus.kafka.partitions import partition_of
from bus.pipeline import native
from bus.pipeline.codec import UnknownSchemaError, decoder
from bus.pipeline.memory import pack, unpack
from bus.pipeline.native.filter_program import compile_filters
from bus.pipeline.native.program import compile_fields_program
from bus.pipeline.predicate_index import PredicateIndex
from bus.pipeline.record import Output, keys
from bus.pipeline.unroutable import between, dead_letters, place_of, unroutable
from bus.pipeline.writer_schema import BadRecordError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bus.catalogue.avro_type import AvroType
    from bus.catalogue.predicate import Predicate
    from bus.pipeline.codec import Decoders
    from bus.pipeline.memory import Change, Memory, Progress
    from bus.pipeline.native._core import Interpreter
    from bus.pipeline.native.program import Program
    from bus.pipeline.record import InputRecord, Made
    from bus.wire import Header

    Changes = dict[bytes, bytes | None]
    """Key → its new packed set; None or empty for no view."""

_log = structlog.get_logger()

MOST_REMEMBERED: Final = 65_000
"""Contents of filtered fields whose matches are remembered; with what `_Extractor` takes in, 30 MB at most."""


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
        id_of: from a record's `ce_id` to what the view shows of it; None where it shows it.
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
    id_of: Callable[[bytes], bytes] | None = None
    program: Callable[[int, dict[str, Any]], Program] | None = None


class Target:
    """A view with what stands in every record of it."""

    __slots__ = (
        "_interpreters",
        "_last",
        "_program",
        "_records",
        "encode",
        "id_of",
        "id_suffix",
        "key",
        "partitions",
        "project",
        "topic",
        "type_header",
    )

    def __init__(self, view: ViewOutput, records: SharedRecords) -> None:
        self._records = records
        self._program = view.program
        self._interpreters: dict[bytes, Interpreter | None] = {}
        self._last: Interpreter | None = None
        self.topic = view.topic
        self.partitions = view.partitions
        self.type_header: Header = ("ce_type", view.event_type)
        self.id_suffix = f"/v{view.revision}".encode()
        self.id_of = view.id_of
        self.project = view.project
        self.encode = view.encode
        self.key = view.key

    def take(self, records: Records, made: Packing, shared: _SharedBodies) -> None:
        """Add the view's records of all these shared ones.

        Args:
            records: of one partition.
            made: where they are added.
            shared: what the views have made of these records so far.

        Raises:
            UnknownSchemaError, BadRecordError: as `SharedRecords`.
        """
        place, stop = 0, len(records)
        while place < stop:
            if (interpreter := self._interpreter_of(records, place)) is not None:
                began, place = place, interpreter.take(records, place, stop, made, shared.of(interpreter))
                if place > began:
                    continue
            self._add(records[place], made)
            place += 1

    def take_some(self, records: Records, places: list[int], made: Packing, shared: _SharedBodies) -> None:
        """As `take`, of those at these places; a tombstone where it is ~place, which is below 0.

        Raises:
            UnknownSchemaError, BadRecordError: as `SharedRecords`.
        """
        done = 0
        while done < len(places):
            place = places[done]
            if place >= 0 and (interpreter := self._interpreter_of(records, place)) is not None:
                began, done = done, interpreter.take_some(records, places, done, made, shared.of(interpreter))
                if done > began:
                    continue
            self._add(records[max(place, ~place)], made, is_gone=place < 0)
            done += 1

    def _interpreter_of(self, records: Records, place: int) -> Interpreter | None:
        frame = records.frame(place)
        if frame:
            self._last = self._interpreter(frame)
        return self._last  # any writes the tombstone of a record without a value

    def _add(self, record: InputRecord, made: Packing, *, is_gone: bool = False) -> None:
        """What the reference makes of a record."""
        output = self.output(record, dict(record.headers), None if is_gone else record.value)
        made.add(output.partition, output.key, output.value, output.headers)

    def output(self, record: InputRecord, headers: Mapping[str, bytes | None], shared: bytes | None) -> Output:
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
        told = wire.derived_headers(headers, self.id_suffix, self.type_header, self.id_of)
        if wire.record_size(key, value, told) > wire.MAX_SENT_BYTES:
            _log.error("too large for a view: deleted there", view=self.topic, topic=record.topic, offset=record.offset)
            value = None
        return Output(self.topic, partition, key, value, told)

    def _shown(self, shared: bytes) -> bytes:
        """What the view shows of a record."""
        interpreter = self._interpreter(shared[: wire.FRAME_BYTES])
        made = None if interpreter is None else interpreter.convert(b"", shared)
        return self.encode(self.project(self._records.whole(shared))) if made is None else made

    def _interpreter(self, frame: bytes) -> Interpreter | None:
        """The compiled code for the writer of records that begin so, if there is any."""
        if frame not in self._interpreters:
            self._interpreters[frame] = self._compiled(frame)
        return self._interpreters[frame]

    def _compiled(self, frame: bytes) -> Interpreter | None:
        if self._program is None or not native.is_used():
            return None
        writer, schema = self._records.writer(frame)
        keeps_partition = self.key is None
        target = native.Target(self.partitions, self.type_header, self.id_suffix, self.key, keeps_partition, self.id_of)
        made = native.interpreter(partial(self._program, writer, schema), target, topic=self.topic, writer=writer)
        if made is not None:
            made.alike = self._records.alike.setdefault(replace(made.program, frame=b""), _Alike())
            made.alike.members += 1
        return made


class _Alike:
    """Interpreters that make the same of a record, but for the frame.

    Attributes:
        members: how many there are.
    """

    __slots__ = ("members",)

    def __init__(self) -> None:
        self.members = 0


class _SharedBodies:
    """What views with equal projections make of some records, which is made once.

    Args:
        records: of one partition.
    """

    def __init__(self, records: Records) -> None:
        self._records = records
        self._bodies: dict[_Alike, native.Bodies] = {}

    def of(self, interpreter: Interpreter) -> native.Bodies | None:
        """What was made so far by those like this one; None if there is no other."""
        alike: _Alike = interpreter.alike
        if alike.members < 2:
            return None
        if alike not in self._bodies:
            self._bodies[alike] = native.Bodies(len(self._records))
        return self._bodies[alike]


@dataclass(frozen=True, slots=True)
class _Extractor:
    """Tells which filters records of one writer pass, without decoding them.

    Attributes:
        interpreter: takes the fields that filters read out of them.
        places: of these fields, in the writer's schema.
        filters: tries the filters on them; None where only the reference can.
        found: what the reference has found for such fields, which repeat: contents of up to 256 bytes, of which each
            view that they pass takes eight.
    """

    interpreter: Interpreter
    places: tuple[int, ...]
    filters: native.Filters | None
    found: dict[bytes, tuple[int, ...]] = field(default_factory=dict)

    def hits(self, records: Records, matches: Callable[[bytes | None], tuple[int, ...]]) -> list[tuple[int, ...]]:
        """For each record the positions of the filters that it passes.

        Args:
            records: of one partition.
            matches: the reference: from a record's value to these positions.
        """
        contents = self.interpreter.fields(records, self.places)
        if self.filters is not None:
            return self.filters.hits(contents, lambda place: matches(records[place].value))
        if len(self.found) > MOST_REMEMBERED:
            self.found.clear()
        hits = []
        for place, content in enumerate(contents):
            here = None if content is None else self.found.get(content)
            if here is None:
                here = matches(records[place].value)
                if content is not None and len(content) + 8 * len(here) <= 256:
                    self.found[content] = here
            hits.append(here)
        return hits


class SharedRecords:
    """The records of an entity, decoded no more than is needed.

    Args:
        decoders: by writer schema id.
        index: of the filters.

    Its methods raise UnknownSchemaError if the writer's schema is not at hand yet, and BadRecordError if a record does
    not decode, which only a foreign writer can cause.

    Attributes:
        alike: the views' programs, apart from their frames, with what runs the same.
    """

    def __init__(self, decoders: Decoders, index: PredicateIndex) -> None:
        self._decoders = decoders
        self._index = index
        self._filtered = frozenset[str]().union(*(each.fields for each in index.predicates))
        self._partly: dict[int, Callable[[bytes], Any]] = {}
        self._extractors: dict[bytes, _Extractor | None] = {}
        self._last: tuple[bytes | None, Any] = (None, None)
        self.alike: dict[Program, _Alike] = {}

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

    def extractor(self, records: Records) -> _Extractor | None:
        """What takes the fields that filters read out of records like the first that has a value, if anything does."""
        frame = next((frame for place in range(len(records)) if (frame := records.frame(place))), b"")
        if frame and frame not in self._extractors:
            self._extractors[frame] = self._made_extractor(frame)
        return self._extractors.get(frame)

    def _made_extractor(self, frame: bytes) -> _Extractor | None:
        writer, schema = self.writer(frame)
        told = {"filters_of": schema["name"], "writer": writer}
        program = partial(compile_fields_program, writer, schema)
        interpreter = native.interpreter(program, native.Target(1, ("", b""), b""), **told)
        if interpreter is None:
            return None
        names = [each["name"] for each in schema["fields"]]
        read = [name for name in names if name in self._filtered]
        filters = native.filters(partial(compile_filters, self._index, read, schema), **told)
        return _Extractor(interpreter, tuple(map(names.index, read)), filters)

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
        self._index = PredicateIndex(filters, types)
        self._records = SharedRecords(decoders, self._index)
        self._last_hits: tuple[Sequence[InputRecord] | None, list[tuple[int, ...]]] = (None, [])
        self.unfiltered = [Target(view, self._records) for view in views if view.filter is None]
        self.filtered = [Target(view, self._records) for view in views if view.filter is not None]

    def matches(self, value: bytes | None) -> tuple[int, ...]:
        """The positions of the filtered views that a record passes; of none, for a deletion.

        Raises:
            UnknownSchemaError, BadRecordError: as `SharedRecords`.
        """
        return () if value is None else self._index.matches(self._records.filtered(value))

    def hits(self, records: Sequence[InputRecord], *, keep: bool = False) -> list[tuple[int, ...]]:
        """For each record as `matches`. What stands in the fields that filters read repeats, and is remembered.

        Args:
            records: of one partition.
            keep: the next call is about the same records.

        Raises:
            UnknownSchemaError, BadRecordError: as `SharedRecords`.
        """
        (last, hits), self._last_hits = self._last_hits, (None, [])
        if last is not records:
            hits = self._hits(records)
        if keep:
            self._last_hits = (records, hits)
        return hits

    def _hits(self, records: Sequence[InputRecord]) -> list[tuple[int, ...]]:
        if not native.is_used() or not isinstance(records, Records):
            return [self.matches(record.value) for record in records]
        extractor = self._records.extractor(records)
        if extractor is None:
            return [self.matches(record.value) for record in records]
        return extractor.hits(records, self.matches)


class EntityViews:
    """The views of one entity, compiled; the same for all of its partitions.

    Args:
        views: who gets records.
        decoders: of shared records.
        types: of the entity's fields.
        members_topic: `_bus.members.<entity>`.
        in_order: the entity keeps every record (`nature: event`): a view that is being filled gets all of them in the
            order of shared, so live records only once the scan has caught up with them.
        feeds: the datasets that feed it, by `<credit code>:<adapter>` of their sources; for dead letters.
    """

    def __init__(  # noqa: PLR0913  what is known of an entity
        self,
        views: Sequence[ViewOutput],
        decoders: Decoders,
        types: Mapping[str, AvroType],
        members_topic: str,
        *,
        in_order: bool = False,
        feeds: Mapping[str, str] | None = None,
    ) -> None:
        self.feeds = feeds or {}
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


class _Outputs:
    """What becomes of some records, by the reference: record by record."""

    def __init__(self, records: Sequence[InputRecord]) -> None:
        self._records = records
        self._made: list[Made] = []

    def put(self, target: Target, place: int) -> None:
        """A view's record of one."""
        record = self._records[place]
        self._made.append(target.output(record, dict(record.headers), record.value))

    def bury(self, target: Target, place: int) -> None:
        """A view's tombstone."""
        record = self._records[place]
        self._made.append(target.output(record, dict(record.headers), None))

    def made(self) -> list[Made]:
        """All of it, each view's in order."""
        return self._made


class _PackedOutputs:
    """The same by the compiled code, view by view, once it is known which records each gets."""

    def __init__(self, records: Records) -> None:
        self._records = records
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
        shared = _SharedBodies(self._records)
        for target in self._unfiltered:
            packing = Packing(target.topic, target.partitions)
            target.take(self._records, packing, shared)
            made += packing.packed()
        for target, places in self._places.items():
            packing = Packing(target.topic, target.partitions)
            target.take_some(self._records, places, packing, shared)
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
        outputs = self._around_bad(records, self._live, changes, lambda _: True)
        if self._filling is not None and not self._entity.in_order:
            self._memory.changed.update((record.key or b"", record.offset) for record in records)
        return [*outputs, *self._settle(changes)]

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
        is_told: Callable[[int], bool],
    ) -> list[Made]:
        """What is made of records; of those that cannot be routed dead letters, where their offsets say so."""
        try:
            return make(records, changes)
        except UnknownSchemaError:
            raise
        except Exception as error:
            changes.clear()
            bad = unroutable(records, lambda one: make(one, {}))
            if not bad:
                raise
            if not self._entity.feeds:
                record, why = records[min(bad)], bad[min(bad)]
                raise BadRecordError(why.reason, where=place_of(record)) from error
        made = [each for run in between(records, bad) for each in make(run, changes)]
        told = {place: why for place, why in bad.items() if is_told(records[place].offset)}
        return [*made, *dead_letters(records, told, self._entity.feeds)]

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
            bad = unroutable(records, partial(self._fitting, most=most))
            if not bad:
                raise
            return max(1, min(bad))  # what is bad goes by itself: its dead letter is one topic

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
        made = self._around_bad(records, self._scanned, changes, self._is_new) if self._filling is not None else []
        return [*made, *self._settle(changes)]

    def _scanned(self, records: Sequence[InputRecord], changes: Changes) -> list[Made]:
        made = _Outputs(records)
        if self._filling is not None:
            for place, record in enumerate(records):
                self._scan(place, record, self._filling, made, changes)
        return made.made()

    def _is_new(self, offset: int) -> bool:
        """Whether no view has met the record at an offset, neither live nor while it was filled."""
        met_live = [view for view in self._memory.views.values() if view.is_live or not self._entity.in_order]
        is_met = any(view.until <= offset for view in met_live)
        return not is_met and all(view.next <= offset for view in self._memory.views.values())

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
