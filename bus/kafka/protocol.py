"""Kafka's protocol as aiokafka describes it: the same bytes and the same values, for less.

aiokafka 0.14 encodes a request from its innermost field outwards, and each level joins what lies within: the record
batches of a produce request are copied six times over, and each number of it, or of an answer, costs three calls. Here
a description is compiled once: what it describes is written to one list, numbers that stand side by side at once, and
joined once. A transaction with a hundred topics names each in two requests and their answers.

Encoding: Kafka protocol guide, "Protocol Primitive Types"; what is not known here is left to aiokafka.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from io import BytesIO
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aiokafka.protocol import types
from aiokafka.protocol.struct import Struct

from bus.kafka.record_batches import IS_KNOWN_AIOKAFKA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Add = Callable[[Any], None]
    Encode = Callable[[Any, Add], None]
    """Adds the bytes of a value, in pieces."""
    Decode = Callable[[bytes, int], tuple[Any, int]]
    """The value that begins at a place, and the place behind it."""

_SCHEMAS: Final = 512
_NUMBERS: Final = {
    types.Boolean: "?",
    types.Int8: "b",
    types.Int16: "h",
    types.Int32: "i",
    types.UInt32: "I",
    types.Int64: "q",
    types.Float64: "d",
}
_SHORT: Final = struct.Struct(">h")
_LONG: Final = struct.Struct(">i")


def encoded(described: Struct) -> bytes:
    """The bytes of a request, a header or an answer.

    Raises:
        ValueError: a value is not of the type that its field has, or there are more or fewer than fields.
    """
    parts: list[Any] = []
    _add(described, parts.append)
    return b"".join(parts)


def framed(header: Struct, request: Struct) -> bytes:
    """The bytes of a request with its header as they are sent: how many they are, in four bytes, and they.

    Raises:
        ValueError: see `encoded`.
    """
    parts: list[Any] = [b""]
    _add(header, parts.append)
    _add(request, parts.append)
    parts[0] = _LONG.pack(sum(map(len, parts)))
    return b"".join(parts)


def decoded(kind: type[Struct], content: BytesIO | bytes) -> Struct:
    """A request, a header or an answer, from its bytes; reads on from where the content is, and leaves it behind it.

    Raises:
        ValueError: the bytes end too early.
    """
    return kind(*values(kind.SCHEMA, content if isinstance(content, BytesIO) else BytesIO(content)))


def values(schema: types.Schema, content: BytesIO) -> tuple[Any, ...]:
    """The values of the fields that a description has, likewise.

    Raises:
        ValueError: the bytes end too early.
    """
    try:
        found, end = _codec(schema).decode(content.getvalue(), content.tell())
    except struct.error as error:
        raise ValueError(str(error)) from None
    content.seek(end)
    return tuple(found)


def install() -> None:
    """Let every client of this process write and read so, if aiokafka is the one that is known."""
    if IS_KNOWN_AIOKAFKA:
        Struct.encode = encoded
        Struct.decode = classmethod(decoded)


def _add(described: Struct, add: Add) -> None:
    values = described.__dict__
    try:
        _codec(described.SCHEMA).encode([values[name] for name in described.SCHEMA.names], add)
    except struct.error as error:
        raise ValueError(f"{type(described).__name__}: {error}") from None


class _Codec(NamedTuple):
    """How the values of a type are written and read."""

    encode: Encode
    decode: Decode


@lru_cache(maxsize=_SCHEMAS)
def _codec(kind: Any) -> _Codec:
    if type(kind) is types.Schema:
        return _Codec(_encode_schema(kind), _decode_schema(kind))
    if type(kind) is types.Array:  # and not a compact one, which is a subclass
        items = _codec(kind.array_of)
        return _Codec(_encode_array(items.encode), _decode_array(items.decode))
    if type(kind) is types.String:
        encoding = kind.encoding
        return _sized(_SHORT, lambda text: str(text).encode(encoding), lambda text: text.decode(encoding))
    if kind is types.Bytes:
        return _sized(_LONG, _same, _same)
    if kind in _NUMBERS:
        number = struct.Struct(">" + _NUMBERS[kind])
        return _Codec(
            lambda value, add: add(number.pack(value)),
            lambda content, place: (number.unpack_from(content, place)[0], place + number.size),
        )
    return _by_aiokafka(kind)


def _runs(fields: tuple[Any, ...]) -> Iterator[tuple[int, int, struct.Struct | None]]:
    """Fields that stand side by side, from and to: numbers together, anything else alone."""
    numbered = [(place, _NUMBERS.get(kind)) for place, kind in enumerate(fields)]
    for is_number, run in groupby(numbered, lambda each: each[1] is not None):
        found = list(run)
        if is_number:
            layout = struct.Struct(">" + "".join(code or "" for _, code in found))
            yield found[0][0], found[-1][0] + 1, layout
        else:
            yield from ((place, place + 1, None) for place, _ in found)


def _encode_schema(schema: types.Schema) -> Encode:
    count, steps = len(schema.fields), []
    for begin, end, numbers in _runs(schema.fields):
        if numbers is None:
            steps.append(_at(begin, _codec(schema.fields[begin]).encode))
        else:
            steps.append(_encode_numbers(begin, end, numbers.pack))

    def encode(item: Any, add: Add) -> None:
        if len(item) != count:
            raise ValueError(f"{len(item)} values for {count} fields")
        for step in steps:
            step(item, add)

    return encode


def _at(place: int, encode: Encode) -> Encode:
    return lambda item, add: encode(item[place], add)


def _encode_numbers(begin: int, end: int, pack: Callable[..., bytes]) -> Encode:
    if begin + 1 == end:
        return lambda item, add: add(pack(item[begin]))
    return lambda item, add: add(pack(*item[begin:end]))


def _decode_schema(schema: types.Schema) -> Decode:
    runs = list(_runs(schema.fields))
    steps = [_decode_numbers(run) if run else _one(_codec(schema.fields[begin]).decode) for begin, _, run in runs]
    if len(steps) == 1:
        return steps[0]

    def decode(content: bytes, place: int) -> tuple[Any, int]:
        values: list[Any] = []
        for step in steps:
            some, place = step(content, place)
            values += some
        return tuple(values), place

    return decode


def _decode_numbers(numbers: struct.Struct) -> Decode:
    return lambda content, place: (numbers.unpack_from(content, place), place + numbers.size)


def _one(decode: Decode) -> Decode:
    def decode_one(content: bytes, place: int) -> tuple[Any, int]:
        value, place = decode(content, place)
        return (value,), place

    return decode_one


def _encode_array(encode: Encode) -> Encode:
    def encode_all(items: Any, add: Add) -> None:
        if items is None:
            add(_LONG.pack(-1))
            return
        add(_LONG.pack(len(items)))
        for item in items:
            encode(item, add)

    return encode_all


def _decode_array(decode: Decode) -> Decode:
    def decode_all(content: bytes, place: int) -> tuple[Any, int]:
        (count,) = _LONG.unpack_from(content, place)
        place += _LONG.size
        if count == -1:
            return None, place
        items = []
        for _ in range(count):
            item, place = decode(content, place)
            items.append(item)
        return items, place

    return decode_all


def _sized(size: struct.Struct, to_bytes: Callable[[Any], Any], from_bytes: Callable[[bytes], Any]) -> _Codec:
    """Bytes behind how many they are."""

    def encode(value: Any, add: Add) -> None:
        if value is None:
            add(size.pack(-1))
            return
        content = to_bytes(value)
        add(size.pack(len(content)))
        add(content)

    def decode(content: bytes, place: int) -> tuple[Any, int]:
        (length,) = size.unpack_from(content, place)
        place += size.size
        if length < 0:
            return None, place
        value = content[place : place + length]
        if len(value) != length:
            raise ValueError(f"{length} bytes are announced, {len(value)} are there")
        return from_bytes(value), place + length

    return _Codec(encode, decode)


def _same(content: Any) -> Any:
    return content


def _by_aiokafka(kind: Any) -> _Codec:
    def decode(content: bytes, place: int) -> tuple[Any, int]:
        data = BytesIO(content)
        data.seek(place)
        return kind.decode(data), data.tell()

    return _Codec(lambda value, add: add(kind.encode(value)), decode)
