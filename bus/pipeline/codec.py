"""Avro bodies in the Confluent frame. A decoder or encoder is made once per schema and called per record.

fastavro is the reference: it parses the schemas, and does itself what `avro_source` does not know. Where there is
compiled code it writes the records that it finds nothing unusual in.

Whoever may write to a topic chooses the schema: one that would cost the reader more than its records do is refused
before anything is compiled of it, and what was written with it is a bad record (`MOST_PARTS` and what follows).
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from fastavro import _read_py, parse_schema, schemaless_reader, schemaless_writer

from bus.errors import BusError
from bus.pipeline import avro_source
from bus.pipeline.native.encoding import record_encoder
from bus.wire import FRAME_BYTES, frame

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

MOST_PARTS: Final = 10_000
"""Types in a writer's schema with each name replaced by what it names; an optional value is one. Wide rows have 1,000.

A record with two fields that are records with two fields, and so on: named, 16 of them are 3 kB, and 130,000 parts.
"""
DEEPEST: Final = 100
"""Types within types."""
MOST_PER_BYTE: Final = 32
"""Values that a byte may stand for in the items of arrays and maps and in the branches of unions.

An array of nulls says in five bytes that it has two thousand million of them.
"""


class BadRecordError(BusError):
    """The bytes do not decode with their writer schema."""


class UnencodableError(BusError):
    """The record does not fit its schema."""


class UnknownSchemaError(BusError):
    """A writer schema is not at hand yet."""

    def __init__(self, schema_id: int) -> None:
        super().__init__(f"schema id {schema_id}")
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
    """A function from a record to its framed value; it raises UnencodableError if the record does not fit."""
    parsed = parse_schema(schema)
    try:
        write = avro_source.writer(parsed, frame(schema_id))
    except avro_source.UnsupportedSchemaError:
        write = _reference_writer(parsed, frame(schema_id))
    write_natively = record_encoder(parsed, frame(schema_id))

    def encode(record: Any) -> bytes:
        if (written := write_natively(record)) is not None:
            return written
        try:
            return write(record)
        except Exception as error:  # noqa: BLE001  the codec raises many types, whose texts hold values
            raise UnencodableError(type(error).__name__) from None

    return encode


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


def parsed_writer(schema: Any) -> tuple[Any, bool]:
    """A writer's schema as fastavro parses it, and whether a type in it holds itself.

    Raises:
        BadRecordError: nothing is decoded with it; says why.
    """
    try:
        parsed = parse_schema(_own(schema))
        sizes = _Sizes()
        whole = sizes.of(parsed)
    except BadRecordError:
        raise
    except Exception as error:  # noqa: BLE001  anything may stand in a registry
        raise BadRecordError(f"its schema is none that can be read ({type(error).__name__})") from None
    if whole.parts > MOST_PARTS:
        raise BadRecordError(f"its schema spells out to more than {MOST_PARTS:,} parts")
    if sizes.has_thin_values():
        raise BadRecordError("its schema has arrays, maps or unions of values that take hardly a byte or none")
    return parsed, sizes.is_recursive


def _own(schema: Any) -> Any:
    """A schema without what fastavro adds to one that it has parsed, and would believe."""
    if not isinstance(schema, dict):
        return schema
    return {name: value for name, value in schema.items() if not name.startswith("__")}


@dataclass(frozen=True, slots=True)
class _Size:
    """What a type is with each name replaced by what it names.

    Attributes:
        parts: types in it.
        depth: of types within types.
        values: that one of it has at least, itself included; of an array, a map or a union only that one.
        least: bytes that one of it takes at least.
    """

    parts: int = 1
    depth: int = 1
    values: int = 1
    least: int = 1


class _Sizes:
    """Sizes of types; each type that has a name is measured once, so that it takes no longer than the schema is.

    Attributes:
        is_recursive: a type was met within itself; it counts there as one part.
    """

    def __init__(self) -> None:
        self.is_recursive = False
        self._named: dict[str, _Size] = {}
        self._within: set[str] = set()
        self._repeated: list[tuple[str | _Size, int]] = []

    def has_thin_values(self) -> bool:
        """Whether there may be more values than MOST_PER_BYTE of the bytes; asked when all is measured."""
        sizes = ((self._named[each] if isinstance(each, str) else each, before) for each, before in self._repeated)
        return any(size.values > MOST_PER_BYTE * (before + size.least) for size, before in sizes)

    def of(self, declared: Any, depth: int = 1) -> _Size:
        """The size of a parsed type that lies so deep.

        Raises:
            BadRecordError: there are types too deep, or one that cannot be.
        """
        size = self._of(declared, depth) if depth <= DEEPEST else _Size()
        if depth + size.depth > DEEPEST + 1:
            raise BadRecordError(f"its schema is nested more than {DEEPEST} types deep")
        return size

    def _of(self, declared: Any, depth: int) -> _Size:
        if isinstance(declared, list):
            return self._union(declared, depth)
        if isinstance(declared, str):
            self.is_recursive |= declared in self._within
            return self._named.get(declared, _PRIMITIVES.get(declared, _Size()))
        kind = declared["type"]
        if kind in {"array", "map"}:
            is_map = kind == "map"
            inner = self._repeatedly(declared["values" if is_map else "items"], int(is_map), depth)
            return _Size(_few(1 + inner.parts), 1 + inner.depth)
        if kind in {"record", "error"}:
            return self._record(declared, depth)
        if kind in {"enum", "fixed"}:
            return self._name(declared, _Size(least=_length(declared) if kind == "fixed" else 1))
        return _PRIMITIVES[kind]

    def _repeatedly(self, declared: Any, before: int, depth: int) -> _Size:
        """The size of a type of which there may be many, each with so many bytes before it."""
        size = self.of(declared, depth + 1)
        is_name = isinstance(declared, str) and declared in self._named  # which may lie around it, and be unmeasured
        self._repeated.append((declared if is_name else size, before))
        return size

    def _union(self, branches: list[Any], depth: int) -> _Size:
        sizes = [self._repeatedly(branch, 1, depth) for branch in branches]
        parts = sum(size.parts for size in sizes) - ("null" in branches)
        return _Size(_few(max(1, parts)), 1 + max((size.depth for size in sizes), default=0))

    def _record(self, declared: dict[str, Any], depth: int) -> _Size:
        self._name(declared, _Size(least=0))
        self._within.add(declared["name"])
        sizes = [self.of(field["type"], depth + 1) for field in declared["fields"]]
        self._within.remove(declared["name"])
        made = _Size(
            _few(1 + sum(size.parts for size in sizes)),
            1 + max((size.depth for size in sizes), default=0),
            _few(1 + sum(size.values for size in sizes)),
            _few(sum(size.least for size in sizes)),
        )
        return self._name(declared, made)

    def _name(self, declared: dict[str, Any], size: _Size) -> _Size:
        if declared["name"] in _PRIMITIVES:
            raise BadRecordError("its schema gives a type the name of a primitive one")
        self._named[declared["name"]] = size
        return size


def _few(number: int) -> int:
    """The number, as far as it matters: doubled again and again it would have thousands of digits."""
    return min(number, MOST_PARTS + 1)


def _length(fixed: dict[str, Any]) -> int:
    size = fixed["size"]
    if not isinstance(size, int) or size < 0:
        raise BadRecordError("its schema has a fixed of no length")
    return size


_PRIMITIVES: Final = {
    **dict.fromkeys(("boolean", "int", "long", "bytes", "string"), _Size()),
    "null": _Size(least=0),
    "float": _Size(least=4),
    "double": _Size(least=8),
}


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
            self._schemas[schema_id] = _own(schema)
        except BadRecordError as refused:
            self._schemas[schema_id] = None
            self._refused[schema_id] = refused.detail

    @property
    def schemas(self) -> Mapping[int, dict[str, Any] | None]:
        """What was taken in so far."""
        return self._schemas

    def schema(self, schema_id: int) -> dict[str, Any]:
        """The schema of an id.

        Raises:
            UnknownSchemaError: not taken in yet.
            BadRecordError: the registry has none of that id, or nothing can be decoded with it.
        """
        try:
            schema = self._schemas[schema_id]
        except KeyError:
            raise UnknownSchemaError(schema_id) from None
        if schema_id in self._refused:
            raise BadRecordError(self._refused[schema_id])
        if schema is None:
            raise BadRecordError(f"the registry has no schema {schema_id}")
        return schema

    def decode(self, schema_id: int, value: bytes) -> Any:
        """What a framed value says.

        Raises:
            UnknownSchemaError: its schema was not taken in yet.
            BadRecordError: the registry has no such schema, or the bytes do not decode with it.
        """
        found = self._decoders.get(schema_id)
        if found is None:
            found = self._decoders[schema_id] = decoder(self.schema(schema_id))
        return found(value)
