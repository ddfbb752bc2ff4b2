"""The stage that turns raw changes into shared records: decode, map, check, encode; rejects to the DLQ. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog

from bus import wire
from bus.kafka.partitions import partition_of
from bus.pipeline.codec import BadRecordError, UnencodableError, UnknownSchemaError, decoder
from bus.pipeline.dlq import reject_headers
from bus.pipeline.envelope import row_schema
from bus.pipeline.record import Output
from bus.pipeline.reject import Reject

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bus.pipeline.codec import Decoders
    from bus.pipeline.mapping.compiled import CompiledMapping
    from bus.pipeline.record import InputRecord

_log = structlog.get_logger()

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
        key_fields: how many fields the raw key has.
        compile: the mapping, for the schema of a writer's rows.
        encode: from a canonical record to a framed value.
    """

    topic: str
    partitions: int
    event_type: bytes
    revision: int
    key_fields: int
    compile: Callable[[dict[str, Any]], CompiledMapping]
    encode: Callable[[Any], bytes]


class DatasetNormaliser:
    """Normalises one dataset. Old and new writer schemas flow at once: the mapping is compiled for each."""

    def __init__(self, dataset: str, output: EntityOutput, decoders: Decoders) -> None:
        self._dlq = wire.dlq_topic(dataset)
        self._output = output
        self._decoders = decoders
        self._writers: dict[int, tuple[Callable[[bytes], Any], CompiledMapping]] = {}
        self._type = ("ce_type", output.event_type)
        self._id_suffix = f"/m{output.revision}".encode()

    def __call__(self, record: InputRecord) -> list[Output]:
        """What a raw record becomes: a canonical record, a tombstone or a reject; nothing for a key that never was.

        Raises:
            UnknownSchemaError: its writer schema is not at hand yet.
        """
        try:
            made = self._change(record)
        except (BadRecordError, wire.BadFrameError, wire.BadKeyError) as error:
            made = Reject(rule="undecodable", field="", reason=f"{error.summary}: {error.detail}")
        except UnencodableError as error:
            made = Reject(rule="schema", field="", reason=f"does not fit the shared schema ({error.detail})")
        except UnknownSchemaError:
            raise
        except Exception as error:  # noqa: BLE001  a fault of ours on one record must not stop all that come after it
            _log.error("rule failed", topic=record.topic, offset=record.offset, error=type(error).__name__)
            made = Reject(rule="internal", field="", reason=f"a rule failed on it ({type(error).__name__})")
        if isinstance(made, Reject):
            return [self._reject(record, made)]
        if made is None:
            return []
        key, value = made
        partition = partition_of(key, self._output.partitions)
        headers = wire.derived_headers(dict(record.headers), self._id_suffix, self._type)
        return [Output(self._output.topic, partition, key, value, headers)]

    def _change(self, record: InputRecord) -> tuple[bytes, bytes | None] | Reject | None:
        if record.value is None or record.key is None:
            raise BadRecordError("a raw record needs a key and a value")
        schema_id = wire.schema_id(record.value)
        decode, mapping = self._writers.get(schema_id) or self._writer(schema_id)
        event = decode(record.value)
        if event["op"] == "d":
            # A key that its rules reject was never published: its tombstone would only tell subscribers of it.
            published = event["before"] is None or mapping.accepts_key(event["before"])
            return (self._key(mapping, record.key), None) if published else None
        if event["after"] is None:
            raise BadRecordError("the change has no row")
        canonical = mapping.apply(event["after"])
        if isinstance(canonical, Reject):
            return canonical
        return self._key(mapping, record.key), self._output.encode(canonical)

    def _key(self, mapping: CompiledMapping, raw_key: bytes) -> bytes:
        """The entity's key: with one field it is the raw key, byte for byte, since a key field is a plain copy."""
        if self._output.key_fields == 1:
            wire.decode_key(raw_key, 1)  # it must be UTF-8
            return raw_key
        return wire.encode_key(mapping.entity_key(wire.decode_key(raw_key, self._output.key_fields)))

    def _writer(self, schema_id: int) -> tuple[Callable[[bytes], Any], CompiledMapping]:
        """How records of a writer's schema are read, and the mapping for its rows."""
        schema = self._decoders.schema(schema_id)
        try:
            row = row_schema(schema)
        except ValueError as error:
            raise BadRecordError(str(error)) from None
        return self._writers.setdefault(schema_id, (decoder(schema, only=_FIELDS_READ), self._output.compile(row)))

    def _reject(self, record: InputRecord, reject: Reject) -> Output:
        origin = f"{record.topic}/{record.partition}/{record.offset}"
        more = reject_headers("normalise", reject.rule, reject.field, reject.reason, origin)
        return Output(self._dlq, 0, record.key, record.value, [*record.headers, *more])


class Normalise:
    """The stage: each raw topic has its dataset's normalisers, one per mapping."""

    def __init__(self, normalisers: Mapping[str, Sequence[DatasetNormaliser]]) -> None:
        self._normalisers = normalisers

    def __call__(self, records: Sequence[InputRecord]) -> list[Output]:
        """The outputs of all mappings, in the records' order.

        Raises:
            UnknownSchemaError: a writer schema is not at hand yet.
        """
        if not records:
            return []
        normalisers = self._normalisers[records[0].topic]
        return [output for record in records for normalise in normalisers for output in normalise(record)]
