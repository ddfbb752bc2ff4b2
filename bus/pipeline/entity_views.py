"""The views of an entity, compiled: which of them a shared record passes, and what each shows of it. No I/O.

Records are matched, projected and masked on bytes where the compiled code can, and by the reference where it cannot.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog

from bus import wire
from bus.kafka.native import Packing, Records
from bus.kafka.partitions import partition_of
from bus.pipeline import native
from bus.pipeline.codec import decoder
from bus.pipeline.native.filter_program import compile_filters
from bus.pipeline.native.program import compile_fields_program
from bus.pipeline.predicate_index import PredicateIndex
from bus.pipeline.record import Output
from bus.pipeline.reject import Reject, RejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bus.catalogue.avro_type import AvroType
    from bus.catalogue.predicate import Predicate
    from bus.pipeline.codec import Decoders
    from bus.pipeline.native._core import Interpreter
    from bus.pipeline.native.program import Program
    from bus.pipeline.record import InputRecord
    from bus.wire import Header

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

    def take(self, records: Records, made: Packing, shared: SharedBodies) -> None:
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

    def take_some(self, records: Records, places: list[int], made: Packing, shared: SharedBodies) -> None:
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
            RejectedError: not even a tombstone would be small enough.
        """
        key, partition = record.key, record.partition % self.partitions
        if self.key is not None:
            key = self.key(key or b"")
            partition = partition_of(key, self.partitions)
        value = None if shared is None else self._shown(shared)
        told = wire.derived_headers(headers, self.id_suffix, self.type_header, self.id_of)
        if wire.record_size(key, value, told) > wire.MAX_SENT_BYTES:
            if wire.record_size(key, None, told) > wire.MAX_SENT_BYTES:
                raise RejectedError(Reject("too_large", "", "its key and id alone are larger than a topic takes"))
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


class SharedBodies:
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
