"""Avro readers and writers as Python source, written out for one schema: straight-line code, no interpretation.

Three times as fast as fastavro's compiled code, which looks at the schema anew for every value (bus/decisions/0008).
Values are those of fastavro, which also converts the logical types; `tests/property` holds the two against each other.
Encoding: Apache Avro 1.12 specification, "Binary Encoding".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from fastavro.read import LOGICAL_READERS
from fastavro.write import LOGICAL_WRITERS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

_LONG_BYTES: Final = 10
_LONG: Final = range(-(2**63), 2**63)
_INT: Final = range(-(2**31), 2**31)
_MOST_LINES: Final = 10_000
"""Lines of a function, of which Python's compiler needs some 5 kB each while it is at work: rows of 500 fields."""


class UnsupportedSchemaError(Exception):
    """The schema has something that is left to fastavro.

    A recursion, a union of several types, items of no size, a type that only fastavro knows; more lines, or loops
    deeper within each other, than Python should or can compile; something else than a record.
    """


class DamagedError(Exception):
    """The bytes are not what the schema says."""


def reader(schema: dict[str, Any], start: int, only: Collection[str] | None = None) -> Callable[[bytes], Any]:
    """A function from bytes to the record in them; all bytes from `start` on must be read.

    The function raises on damaged bytes: DamagedError, IndexError, ValueError, ArithmeticError, struct.error or what a
    logical type's conversion raises. It never reads beyond the bytes, and needs no more memory than they have.

    Args:
        schema: a record schema, parsed by fastavro.
        start: where the record begins.
        only: the fields of the record that are wanted; the others are read over. All of them by default.

    Raises:
        UnsupportedSchemaError: use fastavro.
    """
    _refuse_other_than_record(schema)
    source = _Source()
    fields = []
    source.add(f"p = {start}")
    for each, place in _fields(schema, _Names()):
        if only is None or each["name"] in only:
            fields.append(f"{each['name']!r}: {_read(source, each['type'], place)}")
        else:
            _skip(source, each["type"], place)
    source.add("if p != len(b): raise Damaged('its end is not the end of the bytes')")
    source.add(f"return {{{', '.join(fields)}}}")
    return source.function("b", {"Damaged": DamagedError, "read_long": _read_long, "read_length": _read_long_length})


def writer(schema: dict[str, Any], head: bytes) -> Callable[[Any], bytes]:
    """A function from a record to its bytes, behind `head`; it raises if the record does not fit the schema.

    What it raises: KeyError, TypeError, AttributeError, ValueError (UnicodeEncodeError too), struct.error, or what a
    logical type's conversion raises.

    Raises:
        UnsupportedSchemaError: use fastavro.
    """
    _refuse_other_than_record(schema)
    source = _Source()
    source.add(f"o = [{head!r}]")
    source.add("add = o.append")
    _write_record(source, "r", schema, _Names())
    source.add("return b''.join(o)")
    return source.function("r", {"L": _LENGTHS, "S": len(_LENGTHS), "long": _write_long})


def _refuse_other_than_record(schema: Any) -> None:
    if not isinstance(schema, dict) or schema["type"] != "record":
        raise UnsupportedSchemaError("not a record")


class _Source:
    """Lines of a function, and the constants that they name."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._depth = 1
        self._numbers = count()
        self._constants: dict[str, Any] = {}

    def add(self, line: str) -> None:
        if len(self._lines) == _MOST_LINES:
            raise UnsupportedSchemaError(f"more than {_MOST_LINES} lines")
        self._lines.append("    " * self._depth + line)

    def block(self, line: str) -> _Block:
        """The lines added inside `with` stand under this one."""
        self.add(line)
        return _Block(self)

    def name(self) -> str:
        return f"v{next(self._numbers)}"

    def constant(self, value: Any) -> str:
        name = f"c{next(self._numbers)}"
        self._constants[name] = value
        return name

    def indent(self, by: int) -> None:
        self._depth += by

    def function(self, argument: str, constants: dict[str, Any]) -> Callable[[Any], Any]:
        text = "\n".join([f"def made({argument}):", *self._lines])
        namespace = constants | self._constants
        try:
            # Nothing of the schema stands in the text but the names of fields, by `repr`, and numbers.
            exec(compile(text, "<avro>", "exec"), namespace)  # noqa: S102
        except SyntaxError:  # there may be 20 loops within each other
            raise UnsupportedSchemaError("arrays and maps within each other, too deep") from None
        made: Callable[[Any], Any] = namespace["made"]
        return made


class _Block:
    def __init__(self, source: _Source) -> None:
        self._source = source

    def __enter__(self) -> None:
        self._source.indent(1)

    def __exit__(self, *_: object) -> None:
        self._source.indent(-1)


@dataclass(frozen=True, slots=True)
class _Names:
    """The named types met so far, and those that a place lies within; fastavro has written all names out in full."""

    types: dict[str, dict[str, Any]] = field(default_factory=dict)
    within: frozenset[str] = frozenset()

    def inside(self, name: str) -> _Names:
        if name in self.within:
            raise UnsupportedSchemaError(f"{name} holds itself")
        return _Names(self.types, self.within | {name})


def _resolved(declared: Any, names: _Names) -> tuple[dict[str, Any], _Names]:
    """A type as a dict whose `type` says what it is, and the names as of inside it."""
    if isinstance(declared, str):
        if declared not in names.types:
            return {"type": declared}, names
        declared = names.types[declared]
    if "name" not in declared:
        return declared, names
    names.types[declared["name"]] = declared
    return declared, names.inside(declared["name"])


def _fields(record: Any, names: _Names) -> Iterator[tuple[dict[str, Any], _Names]]:
    declared, inside = _resolved(record, names)
    for each in declared["fields"]:
        yield each, inside


def _optional(branches: list[Any]) -> tuple[int, Any]:
    """Of a union of null and one type: the place of null, and the type."""
    if len(branches) != 2 or branches.count("null") != 1:
        raise UnsupportedSchemaError("a union of several types")
    null = branches.index("null")
    return null, branches[1 - null]


def _logical(declared: dict[str, Any], conversions: Any) -> Any:
    return conversions.get(f"{declared['type']}-{declared.get('logicalType')}")


def _read(source: _Source, declared: Any, names: _Names, made: str = "") -> str:
    """Add the lines that read a value; the name of the variable that then holds it."""
    made = made or source.name()
    if isinstance(declared, list):
        null, other = _optional(declared)
        source.add("n = b[p]; p += 1")
        with source.block(f"if n == {2 * (1 - null)}:"):
            _read(source, other, names, made)
        source.add(f"elif n == {2 * null}: {made} = None")
        source.add("else: raise Damaged('no such branch')")
        return made
    found, inside = _resolved(declared, names)
    kind = found["type"]
    if kind == "record":
        parts = [f"{each['name']!r}: {_read(source, each['type'], inside)}" for each in found["fields"]]
        source.add(f"{made} = {{{', '.join(parts)}}}")
    elif kind in ("array", "map"):
        _read_items(source, made, found, names)
    elif kind in _READ:
        _READ[kind](source, made, found)
    else:
        raise UnsupportedSchemaError(f"the type {kind}")
    convert = _logical(found, LOGICAL_READERS)
    if convert is not None:
        source.add(f"{made} = {source.constant(convert)}({made}, {source.constant(found)}, None)")
    return made


def _read_length(source: _Source) -> None:
    source.add("n = b[p]; p += 1")
    source.add("if n > 127: n, p = read_length(b, p - 1)")
    source.add("elif n & 1: raise Damaged('a negative length')")


def _read_text(source: _Source, made: str, _: dict[str, Any]) -> None:
    _read_length(source)
    source.add("q = p + (n >> 1)")
    source.add(f"{made} = str(b[p:q], 'utf-8'); p = q")


def _read_bytes(source: _Source, made: str, _: dict[str, Any]) -> None:
    _read_length(source)
    source.add("q = p + (n >> 1)")
    source.add(f"{made} = b[p:q]; p = q")


def _read_fixed(source: _Source, made: str, found: dict[str, Any]) -> None:
    source.add(f"{made} = b[p:p + {int(found['size'])}]; p += {int(found['size'])}")


def _read_number(source: _Source, made: str, _: dict[str, Any]) -> None:
    source.add(f"{made} = b[p]; p += 1")
    source.add(f"if {made} > 127: {made}, p = read_long(b, p - 1)")
    source.add(f"else: {made} = ({made} >> 1) ^ -({made} & 1)")


def _read_enum(source: _Source, made: str, found: dict[str, Any]) -> None:
    symbols = source.constant(found["symbols"])
    _read_length(source)  # an index is never negative either
    source.add(f"{made} = {symbols}[n >> 1]")


def _read_boolean(source: _Source, made: str, _: dict[str, Any]) -> None:
    source.add(f"{made} = (False, True)[b[p]]; p += 1")


def _read_null(source: _Source, made: str, _: dict[str, Any]) -> None:
    source.add(f"{made} = None")


def _read_packed(layout: str) -> Callable[[_Source, str, dict[str, Any]], None]:
    unpack = struct.Struct(layout)

    def read(source: _Source, made: str, _: dict[str, Any]) -> None:
        source.add(f"{made} = {source.constant(unpack.unpack_from)}(b, p)[0]; p += {unpack.size}")

    return read


_READ: Final[dict[str, Callable[[_Source, str, dict[str, Any]], None]]] = {
    "null": _read_null,
    "boolean": _read_boolean,
    "int": _read_number,
    "long": _read_number,
    "float": _read_packed("<f"),
    "double": _read_packed("<d"),
    "bytes": _read_bytes,
    "string": _read_text,
    "fixed": _read_fixed,
    "enum": _read_enum,
}


def _read_items(source: _Source, made: str, found: dict[str, Any], names: _Names) -> None:
    """An array or a map: blocks of so many items each, ended by an empty one."""
    is_map = found["type"] == "map"
    items = found["values" if is_map else "items"]
    if not is_map and not _takes_bytes(items, names):
        raise UnsupportedSchemaError("items that may have no size")  # there could be more than the bytes say
    left = source.name()
    source.add(f"{made} = {'{}' if is_map else '[]'}")
    with source.block("while True:"):
        source.add(f"{left}, p = read_long(b, p)")
        source.add(f"if not {left}: break")
        source.add(f"if {left} < 0: {left} = -{left}; _, p = read_long(b, p)")
        source.add(f"if {left} > len(b) - p: raise Damaged('more items than bytes')")
        with source.block(f"for _ in range({left}):"):
            if is_map:
                key = source.name()
                _read_text(source, key, {})
                source.add(f"{made}[{key}] = {_read(source, items, names)}")
            else:
                source.add(f"{made}.append({_read(source, items, names)})")


def _takes_bytes(declared: Any, names: _Names) -> bool:
    """Whether every value of a type has a byte at least."""
    if isinstance(declared, list):
        return True
    found, inside = _resolved(declared, names)
    if found["type"] == "record":
        return any(_takes_bytes(each["type"], inside) for each in found["fields"])
    return bool(found["type"] != "null" and (found["type"] != "fixed" or found["size"] > 0))


def _skip(source: _Source, declared: Any, names: _Names) -> None:
    """Add the lines that read over a value; for all but the usual ones, by reading it."""
    if isinstance(declared, list):
        null, other = _optional(declared)
        source.add("n = b[p]; p += 1")
        with source.block(f"if n == {2 * (1 - null)}:"):
            _skip(source, other, names)
        source.add(f"elif n != {2 * null}: raise Damaged('no such branch')")
        return
    found, _ = _resolved(declared, names)
    if found["type"] in ("string", "bytes"):
        _read_length(source)
        source.add("p += n >> 1")
    elif found["type"] in ("int", "long"):
        _read_number(source, source.name(), found)
    else:
        _read(source, declared, names)


def _read_long(data: bytes, place: int) -> tuple[int, int]:
    """A zig-zag number of up to ten bytes, and where it ends."""
    shift = value = 0
    for byte in data[place : place + _LONG_BYTES]:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            number = (value >> 1) ^ -(value & 1)
            if number not in _LONG:
                break
            return number, place + shift // 7
    raise DamagedError("a number has no end")


def _read_long_length(data: bytes, place: int) -> tuple[int, int]:
    """Twice a length, and where its number ends."""
    length, end = _read_long(data, place)
    if length < 0:
        raise DamagedError("a negative length")
    return length << 1, end


def _write_record(source: _Source, record: str, declared: Any, names: _Names) -> None:
    for each, inside in _fields(declared, names):
        made = source.name()
        if "default" in each:
            source.add(f"{made} = {record}.get({each['name']!r}, {source.constant(each['default'])})")
        else:
            source.add(f"{made} = {record}[{each['name']!r}]")
        _write(source, made, each["type"], inside)


def _write(source: _Source, value: str, declared: Any, names: _Names) -> None:
    """Add the lines that append a variable's value."""
    if isinstance(declared, list):
        null, other = _optional(declared)
        source.add(f"if {value} is None: add({bytes([2 * null])!r})")
        with source.block("else:"):
            source.add(f"add({bytes([2 * (1 - null)])!r})")
            _write(source, value, other, names)
        return
    found, _ = _resolved(declared, names)
    convert = _logical(found, LOGICAL_WRITERS)
    if convert is not None:
        source.add(f"{value} = {source.constant(convert)}({value}, {source.constant(found)})")
    kind = found["type"]
    if kind == "record":
        _write_record(source, value, declared, names)
    elif kind in ("array", "map"):
        _write_items(source, value, found, names)
    elif kind in _WRITE:
        _WRITE[kind](source, value, found)
    else:
        raise UnsupportedSchemaError(f"the type {kind}")


def _write_bytes_of(source: _Source, name: str) -> None:
    source.add(f"n = len({name})")
    source.add("add(L[n] if n < S else long(n))")
    source.add(f"add({name})")


def _write_text(source: _Source, value: str, _: dict[str, Any]) -> None:
    source.add(f"{value} = {value}.encode()")
    _write_bytes_of(source, value)


def _write_bytes(source: _Source, value: str, _: dict[str, Any]) -> None:
    source.add(f"if not isinstance({value}, (bytes, bytearray)): raise TypeError")
    _write_bytes_of(source, value)


def _write_fixed(source: _Source, value: str, found: dict[str, Any]) -> None:
    source.add(f"if not isinstance({value}, (bytes, bytearray)): raise TypeError")
    source.add(f"if len({value}) != {int(found['size'])}: raise ValueError")
    source.add(f"add({value})")


def _write_number(source: _Source, value: str, found: dict[str, Any]) -> None:
    allowed = source.constant(_INT if found["type"] == "int" else _LONG)
    source.add(f"if {value}.__class__ is not int or {value} not in {allowed}: raise ValueError")
    source.add(f"add(L[{value}] if 0 <= {value} < S else long({value}))")


def _write_enum(source: _Source, value: str, found: dict[str, Any]) -> None:
    indexes = source.constant({symbol: _write_long(index) for index, symbol in enumerate(found["symbols"])})
    source.add(f"add({indexes}[{value}])")


def _write_boolean(source: _Source, value: str, _: dict[str, Any]) -> None:
    source.add(f"if {value}.__class__ is not bool: raise TypeError")
    source.add(f"add(b'\\1' if {value} else b'\\0')")


def _write_null(source: _Source, value: str, _: dict[str, Any]) -> None:
    source.add(f"if {value} is not None: raise TypeError")


def _write_packed(layout: str) -> Callable[[_Source, str, dict[str, Any]], None]:
    pack = struct.Struct(layout).pack

    def write(source: _Source, value: str, _: dict[str, Any]) -> None:
        source.add(f"add({source.constant(pack)}({value}))")

    return write


_WRITE: Final[dict[str, Callable[[_Source, str, dict[str, Any]], None]]] = {
    "null": _write_null,
    "boolean": _write_boolean,
    "int": _write_number,
    "long": _write_number,
    "float": _write_packed("<f"),
    "double": _write_packed("<d"),
    "bytes": _write_bytes,
    "string": _write_text,
    "fixed": _write_fixed,
    "enum": _write_enum,
}


def _write_items(source: _Source, value: str, found: dict[str, Any], names: _Names) -> None:
    """An array or a map in one block, as fastavro writes it."""
    is_map = found["type"] == "map"
    item = source.name()
    source.add(f"if {value}.__class__ is not {'dict' if is_map else 'list'}: raise TypeError")
    with source.block(f"if {value}:"):
        source.add(f"add(long(len({value})))")
        if is_map:
            key = source.name()
            with source.block(f"for {key}, {item} in {value}.items():"):
                _write_text(source, key, {})
                _write(source, item, found["values"], names)
        else:
            with source.block(f"for {item} in {value}:"):
                _write(source, item, found["items"], names)
    source.add("add(b'\\0')")


def _write_long(value: int) -> bytes:
    """A number in zig-zag coding."""
    left = (value << 1) ^ (value >> 63)
    made = bytearray()
    while left > 0x7F:
        made.append(left & 0x7F | 0x80)
        left >>= 7
    made.append(left)
    return bytes(made)


_LENGTHS: Final = tuple(map(_write_long, range(8192)))
"""The coded numbers that lengths nearly always are."""
