"""Avro bodies in the Confluent frame. A decoder or encoder is made once per schema and called per record.

fastavro is the reference: it parses the schemas, and does itself what `avro_source` does not know. Where there is
compiled code it writes the records that it finds nothing unusual in.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from fastavro import _read_py, parse_schema, schemaless_reader, schemaless_writer

from bus.errors import BusError
from bus.pipeline import avro_source
from bus.pipeline.native import encoding
from bus.pipeline.writer_schema import BadRecordError, parsed_writer, without_marks
from bus.wire import FRAME_BYTES, frame

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    _Writers = tuple[Callable[[Any], bytes | None], Callable[[Any], bytes]]


class UnencodableError(BusError):
    """The record does not fit its schema."""


class UnknownSchemaError(BusError):
    """A writer schema is not at hand yet."""

    def __init__(self, schema_id: int) -> None:
        super().__init__(f"schema id {schema_id}")
        self.schema_id = schema_id


class MissingSchemaError(BadRecordError):
    """The registry has no such schema."""

    def __init__(self, schema_id: int, *, where: str = "") -> None:
        super().__init__(f"id {schema_id}", where=where)
        self.schema_id = schema_id


def decoder(schema: dict[str, Any], only: Collection[str] | None = None) -> Callable[[bytes], Any]:
    """A function from a framed value to what it says; it raises BadRecordError for anything that garbage can cause.

    Args:
        schema: Avro schema of the writer.
        only: the fields of the record that are wanted; all by default. There may be more in what comes.

    Raises:
        BadRecordError: nothing can be decoded with the schema.
    """
    parsed, is_recursive = parsed_writer(schema)
    try:
        read = avro_source.reader(parsed, FRAME_BYTES, only)
    except avro_source.UnsupportedSchemaError:
        read = _reference_reader(parsed, is_recursive=is_recursive)

    def decode(value: bytes) -> Any:
        try:
            return read(value)
        except Exception as error:  # noqa: BLE001  garbage makes the codec raise nearly anything; all of it is one thing
            raise BadRecordError(type(error).__name__) from None

    return decode


def encoder(schema_id: int, schema: dict[str, Any]) -> Callable[[Any], bytes]:
    """A function from a record to its framed value; it raises UnencodableError if the record does not fit.

    Raises:
        SchemaParseException: of fastavro: it is not an Avro schema.
    """
    parse_schema(schema)
    return _Encoder(schema_id, schema)


class _Encoder:
    """What is made of the schema is made for the first record, and little is held until then.

    Of thousands of views most never have one that is not encoded by the compiled code on its way.
    """

    __slots__ = ("_natively", "_schema", "_schema_id", "_writers")

    def __init__(self, schema_id: int, schema: dict[str, Any]) -> None:
        self._schema_id = schema_id
        self._schema = schema
        self._natively = encoding.is_used()
        self._writers: _Writers | None = None

    def __call__(self, record: Any) -> bytes:
        if self._writers is None:
            self._writers = _writers(self._schema, frame(self._schema_id), natively=self._natively)
        write_natively, write = self._writers
        if (written := write_natively(record)) is not None:
            return written
        try:
            return write(record)
        except Exception as error:  # noqa: BLE001  the codec raises many types, whose texts hold values
            raise UnencodableError(type(error).__name__) from None


def _writers(schema: dict[str, Any], head: bytes, *, natively: bool) -> _Writers:
    """What writes what it knows, and what writes the rest."""
    parsed = parse_schema(schema)
    try:
        write = avro_source.writer(parsed, head)
    except avro_source.UnsupportedSchemaError:
        write = _reference_writer(parsed, head)
    return encoding.record_encoder(parsed, head) if natively else encoding.given_up, write


def _reference_reader(parsed: Any, *, is_recursive: bool) -> Callable[[bytes], Any]:
    # Of values within values without end, fastavro's compiled reader overflows the stack, which ends the process.
    read_one = _read_py.schemaless_reader if is_recursive else schemaless_reader

    def read(value: bytes) -> Any:
        body = BytesIO(value)
        body.seek(FRAME_BYTES)
        record = read_one(body, parsed, None)
        if body.tell() != len(value):
            raise avro_source.DamagedError("bytes are left over after the record")
        return record

    return read


def _reference_writer(parsed: Any, head: bytes) -> Callable[[Any], bytes]:
    def write(record: Any) -> bytes:
        body = BytesIO()
        body.write(head)
        schemaless_writer(body, parsed, record)
        return body.getvalue()

    return write


class Decoders:
    """Decoders by writer schema id; filled by the loop from the registry, asked by the stages."""

    def __init__(self) -> None:
        self._schemas: dict[int, dict[str, Any] | None] = {}
        self._refused: dict[int, str] = {}
        self._decoders: dict[int, Callable[[bytes], Any]] = {}

    def add(self, schema_id: int, schema: dict[str, Any] | None) -> None:
        """Take in a schema; None says that the registry has none of that id."""
        self._refused.pop(schema_id, None)
        try:
            if schema is not None:
                parsed_writer(schema)
            self._schemas[schema_id] = without_marks(schema)
        except BadRecordError as refused:
            self._schemas[schema_id] = None
            self._refused[schema_id] = refused.detail

    def forget_missing(self, schema_id: int) -> None:
        """Ask again for one that the registry did not have."""
        if self._schemas.get(schema_id) is None and schema_id not in self._refused:
            self._schemas.pop(schema_id, None)

    @property
    def schemas(self) -> Mapping[int, dict[str, Any] | None]:
        """What was taken in so far."""
        return self._schemas

    def schema(self, schema_id: int) -> dict[str, Any]:
        """The schema of an id.

        Raises:
            UnknownSchemaError: not taken in yet.
            MissingSchemaError: the registry has none of that id.
            BadRecordError: nothing can be decoded with it.
        """
        try:
            schema = self._schemas[schema_id]
        except KeyError:
            raise UnknownSchemaError(schema_id) from None
        if schema_id in self._refused:
            raise BadRecordError(self._refused[schema_id])
        if schema is None:
            raise MissingSchemaError(schema_id)
        return schema

    def decode(self, schema_id: int, value: bytes) -> Any:
        """What a framed value says.

        Raises:
            UnknownSchemaError: its schema was not taken in yet.
            MissingSchemaError: the registry has no such schema.
            BadRecordError: the bytes do not decode with it.
        """
        found = self._decoders.get(schema_id)
        if found is None:
            found = self._decoders[schema_id] = decoder(self.schema(schema_id))
        return found(value)
