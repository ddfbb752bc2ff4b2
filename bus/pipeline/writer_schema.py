"""Writers' schemas, parsed and measured.

Whoever may write to a topic chooses the schema: one that would cost the reader more than its records is refused before
anything is compiled of it, and what was written with it is a bad record.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from fastavro import parse_schema

from bus.errors import BusError

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


def parsed_writer(schema: Any) -> tuple[Any, bool]:
    """A writer's schema as fastavro parses it, and whether a type in it holds itself.

    Raises:
        BadRecordError: nothing is decoded with it; says why.
    """
    try:
        parsed = parse_schema(without_marks(schema))
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


def without_marks(schema: Any) -> Any:
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
