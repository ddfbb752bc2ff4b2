"""The stage that turns raw changes into shared records: decode, map, check, encode; rejects to the DLQ. Pure."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import TYPE_CHECKING, Any, Final

import structlog

from bus import wire
from bus.kafka.native import Packing, Records
from bus.kafka.partitions import partition_of
from bus.pipeline import native
from bus.pipeline.codec import UnencodableError, UnknownSchemaError, decoder
from bus.pipeline.dlq import DeadLetters
from bus.pipeline.envelope import row_schema
from bus.pipeline.open_rejects import Entry, Verdict
from bus.pipeline.record import Output, key_at, offset_at, places
from bus.pipeline.reject import UNDECODABLE, Reject, undecodable
from bus.pipeline.writer_schema import BadRecordError

if TYPE_CHECKING:
    from bus.pipeline.codec import Decoders
    from bus.pipeline.mapping.compiled import CompiledMapping
    from bus.pipeline.native._core import Interpreter
    from bus.pipeline.native.program import Program
    from bus.pipeline.open_rejects import OpenRejects
    from bus.pipeline.record import InputRecord, Made

_log = structlog.get_logger()

MOST_KEY_BYTES: Final = 500_000
"""Of the key of a reject that is remembered."""

_FIELDS_READ: Final = ("op", "before", "after")
"""Of the envelope; position and times go on in the headers."""


@dataclass(frozen=True, slots=True)
class EntityOutput:
    """Where a dataset's records go.

    Attributes:
        topic: `shared.<domain>.<entity>`.
        partitions: of that topic.
        event_type: `ce_type` of its records.
        revision: of the mapping; a part of `ce_id`, so that a correction has a new one.
        key: fields of the row that the raw key is made of.
        compile: the mapping, for the schema of a writer's rows.
        encode: from a canonical record to a framed value.
        program: the mapping for the compiled code, by the id and the schema of a writer; NotNativeError if it cannot
            be one.
    """

    topic: str
    partitions: int
    event_type: bytes
    revision: int
    key: tuple[str, ...]
    compile: Callable[[dict[str, Any]], CompiledMapping]
    encode: Callable[[Any], bytes]
    program: Callable[[int, dict[str, Any]], Program]


class _Writer:
    """How the changes of one writer's schema are normalised.

    What the reference needs is made for the first record that is left to it: most datasets have few or none, and of a
    thousand of them it takes tens of MB.

    Args:
        schema: of the writer, an envelope.
        compile_for: the mapping, for the schema of its rows.

    Attributes:
        interpreter: does all that is as it should be (see `bus.pipeline.native`); None without it.

    Raises:
        BadRecordError: the schema is no envelope.
    """

    def __init__(self, schema: dict[str, Any], compile_for: Callable[[dict[str, Any]], CompiledMapping]) -> None:
        try:
            self._row = row_schema(schema)
        except ValueError as error:
            raise BadRecordError(str(error)) from None
        self._schema = schema
        self._compile = compile_for
        self.interpreter: Interpreter | None = None

    @cached_property
    def decode(self) -> Callable[[bytes], Any]:
        """The reference reads a change by it."""
        return decoder(self._schema, only=_FIELDS_READ)

    @cached_property
    def mapping(self) -> CompiledMapping:
        """And maps its row."""
        return self._compile(self._row)


class DatasetNormaliser:
    """Normalises a dataset for one mapping. Old and new writer schemas flow at once: it is compiled for each."""

    def __init__(self, dataset: str, output: EntityOutput, decoders: Decoders) -> None:
        self.entity = output.topic.removeprefix("shared.")
        self._dataset = dataset
        self._output = output
        self._decoders = decoders
        self._writers: dict[int, _Writer] = {}
        self._type = ("ce_type", output.event_type)
        self._id_suffix = f"/m{output.revision}".encode()

    def normalised(self, records: Sequence[InputRecord]) -> tuple[list[Made], dict[int, Reject]]:
        """What becomes of records of one partition, in their order; and the rejects, by their places among them.

        Raises:
            UnknownSchemaError: a writer schema is not at hand yet.
        """
        if native.is_used() and isinstance(records, Records):
            return self._normalised_whole(records)
        made: list[Made] = []
        rejects = {}
        for place, record in enumerate(records):
            output = self(record)
            if isinstance(output, Reject):
                rejects[place] = output
            elif output is not None:
                made.append(output)
        return made, rejects

    def _normalised_whole(self, records: Records) -> tuple[list[Made], dict[int, Reject]]:
        """The compiled code goes as far as it knows its way; then comes a record for the reference, and so on."""
        made = Packing(self._output.topic, self._output.partitions)
        rejects: dict[int, Reject] = {}
        place = 0
        while place < len(records):
            if (interpreter := self._interpreter(records.frame(place))) is not None:
                began, place = place, interpreter.take(records, place, len(records), made, rejects=rejects)
                if place > began:
                    continue
            output = self(records[place])
            if isinstance(output, Reject):
                rejects[place] = output
            elif output is not None:
                made.add(output.partition, output.key, output.value, output.headers)
            place += 1
        return [*made.packed()], rejects

    def _interpreter(self, head: bytes) -> Interpreter | None:
        """What does the records that begin so; None where the reference must, and tell what is amiss with them."""
        try:
            return self._writer(wire.schema_id(head)).interpreter
        except Exception:  # noqa: BLE001  the reference meets it again
            return None

    def __call__(self, record: InputRecord) -> Output | Reject | None:
        """What a raw record becomes: a canonical record, a tombstone or a reject; None for a key that never was.

        Raises:
            UnknownSchemaError: its writer schema is not at hand yet.
        """
        try:
            return self._made(record)
        except UNDECODABLE as error:
            return undecodable(error)
        except UnencodableError as error:
            return Reject(rule="schema", field="", reason=f"does not fit the shared schema ({error.detail})")
        except UnknownSchemaError:
            raise
        except Exception as error:  # noqa: BLE001  a fault of ours on one record must not stop all that come after it
            _log.error("rule failed", topic=record.topic, offset=record.offset, error=type(error).__name__)
            return Reject(rule="internal", field="", reason=f"a rule failed on it ({type(error).__name__})")

    def _made(self, record: InputRecord) -> Output | Reject | None:
        made = self._change(record)
        if made is None or isinstance(made, Reject):
            return made
        key, value = made
        headers = wire.derived_headers(dict(record.headers), self._id_suffix, self._type)
        if (size := wire.record_size(key, value, headers)) > wire.MAX_RECORD_BYTES:
            reason = f"would have {size} bytes: a record has at most {wire.MAX_RECORD_BYTES}"
            return Reject(rule="too_large", field="", reason=reason)
        partition = partition_of(key, self._output.partitions)
        return Output(self._output.topic, partition, key, value, headers)

    def _change(self, record: InputRecord) -> tuple[bytes, bytes | None] | Reject | None:
        if record.value is None or record.key is None:
            raise BadRecordError("a raw record needs a key and a value")
        writer = self._writer(wire.schema_id(record.value))
        event, mapping = writer.decode(record.value), writer.mapping
        if event["op"] == "d":
            # Of a key that was never published a tombstone would only tell subscribers of it; where it is outside of
            # the scope, and so another dataset's, it would delete that one's record.
            texts = wire.decode_key(record.key, len(self._output.key))
            is_published = mapping.has_published(texts, event["before"])
            return (self._key(mapping, record.key), None) if is_published else None
        if event["after"] is None:
            raise BadRecordError("the change has no row")
        self._refuse_other_key(record.key, event["after"])
        canonical = mapping.apply(event["after"])
        if isinstance(canonical, Reject):
            return canonical
        return self._key(mapping, record.key), self._output.encode(canonical)

    def _key(self, mapping: CompiledMapping, raw_key: bytes) -> bytes:
        """The entity's key: with one field it is the raw key, byte for byte, since a key field is a plain copy."""
        if len(self._output.key) == 1:
            wire.decode_key(raw_key, 1)  # it must be UTF-8
            return raw_key
        return wire.encode_key(mapping.entity_key(wire.decode_key(raw_key, len(self._output.key))))

    def _refuse_other_key(self, raw_key: bytes, row: Mapping[str, Any]) -> None:
        """A row under another's key would be published as that one's. Checked where a key is one text, as most are."""
        if len(self._output.key) == 1:
            text = row.get(self._output.key[0])
            if isinstance(text, str) and text.encode() != raw_key:
                raise BadRecordError("the record's key is not its row's")

    def _writer(self, schema_id: int) -> _Writer:
        """How the changes of a writer's schema are normalised."""
        if (known := self._writers.get(schema_id)) is not None:
            return known
        schema = self._decoders.schema(schema_id)
        writer = _Writer(schema, self._output.compile)
        writer.interpreter = self._native(schema_id, schema, lambda key: self._key(writer.mapping, key))
        return self._writers.setdefault(schema_id, writer)

    def _native(self, schema_id: int, schema: dict[str, Any], key_of: Callable[[bytes], bytes]) -> Interpreter | None:
        output = self._output
        target = native.Target(output.partitions, self._type, self._id_suffix, key_of)
        program = partial(output.program, schema_id, schema)
        return native.interpreter(program, target, entity=self.entity, writer=schema_id)


Normalisers = Mapping[str, Sequence[DatasetNormaliser]]
"""Raw topic → its dataset's normalisers, one per mapping."""


class Normalise:
    """The stage of a lane.

    Args:
        normalisers: of its inputs.
        rejects: the lane's memory; what a call changes in it, it changes at its end, so that a call that failed may be
            made again.
        now: the time in seconds since 1970, asked when records are rejected.
    """

    def __init__(self, normalisers: Normalisers, rejects: OpenRejects, now: Callable[[], float] = time.time) -> None:
        self._normalisers = normalisers
        self._rejects = rejects
        self._now = now

    def __call__(self, records: Sequence[InputRecord]) -> list[Made]:
        """The outputs of all mappings for records of one partition, in their order, and the changes of open rejects.

        Raises:
            UnknownSchemaError: a writer schema is not at hand yet.
        """
        if not records:
            return []
        place = records[0].topic, records[0].partition
        normalisers = self._normalisers[place[0]]
        opened = self._rejects.entries[place]
        made: list[Made] = []
        rejected: dict[int, list[tuple[str, Reject]]] = defaultdict(list)
        for normaliser in normalisers:
            outputs, rejects = normaliser.normalised(records)
            made += outputs
            for at, reject in rejects.items():
                rejected[at].append((normaliser.entity, reject))
        if not rejected and not opened:
            return made
        changes: dict[bytes, Entry] = {}
        letters = DeadLetters("normalise", place[0].removeprefix("raw."), place, records)
        now = int(self._now() * 1000)
        bad_keys = {key_at(records, at) for at in rejected}
        for at in places(records, opened, bad_keys):
            key = key_at(records, at)
            if at in rejected:
                for entity, reject in rejected[at]:
                    letters.add(at, reject, entity)
                # A record without a key can be neither superseded nor redriven. Nor can one with a key that is none:
                # what is remembered must stay small.
                if key is not None and len(key) <= MOST_KEY_BYTES:
                    verdicts = [_verdict(entity, why.rule, why.field) for entity, why in rejected[at]]
                    changes[key] = Entry(offset_at(records, at), now, tuple(verdicts))
            elif key in opened or key in changes:
                _supersede(key, opened, changes)
        return [*made, *letters.made(), *self._rejects.settle(place, changes)]


@lru_cache(maxsize=1024)
def _verdict(entity: str, rule: str, field: str) -> Verdict:
    """One that stands: the same few come again and again."""
    return Verdict(entity, rule, field)


def _supersede(key: bytes | None, opened: Mapping[bytes, bytes], changes: dict[bytes, Entry]) -> None:
    """The key's newest change is good."""
    if key is not None:
        entry = changes[key] if key in changes else Entry.decode(opened[key])
        changes[key] = entry.superseded()
