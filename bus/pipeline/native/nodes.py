"""How a writer's values are read: a schema as a tree of nodes, which the native interpreter walks over the bytes."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fastavro.read import LOGICAL_READERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONG: Final = (-(2**63), 2**63 - 1)
NO_LIMIT: Final = 2**62

_DAY: Final = 86_400_000_000
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
_RANGES: Final = {
    "int-date": (_FIRST_DAY, _LAST_DAY),
    "int-time-millis": (0, _DAY // 1000 - 1),
    "long-time-micros": (0, _DAY - 1),
    "long-timestamp-millis": (_FIRST_DAY * _DAY // 1000, (_LAST_DAY + 1) * _DAY // 1000 - 1),
    "long-timestamp-micros": (_FIRST_DAY * _DAY, (_LAST_DAY + 1) * _DAY - 1),
    "long-local-timestamp-millis": (_FIRST_DAY * _DAY // 1000, (_LAST_DAY + 1) * _DAY // 1000 - 1),
    "long-local-timestamp-micros": (_FIRST_DAY * _DAY, (_LAST_DAY + 1) * _DAY - 1),
}
"""Numbers of which fastavro can make a date or a time: the years 1 to 9999, the hours 0 to 23."""

_SIZES: Final = {"float": 4, "double": 8}
_MOST_DECIMAL_BYTES: Final = 64
_DEEPEST: Final = 64
"""Types within types; what goes deeper is left to the reference, so that no schema can exhaust the stack."""


class NotNativeError(Exception):
    """The schema or the mapping has something that only the reference knows; says what."""


@contextmanager
def only_native() -> Iterator[None]:
    """What cannot be compiled, for whatever reason, is the reference's: it refuses record by record.

    Raises:
        NotNativeError: instead of anything else.
    """
    try:
        yield
    except NotNativeError:
        raise
    except Exception as error:  # noqa: BLE001  as said
        raise NotNativeError(f"{type(error).__name__}: {error}") from None


@dataclass(frozen=True, slots=True)
class Node:
    """How a value is read.

    Attributes:
        kind: null, boolean, number, text, bytes, fixed, enum, uuid, record, array or map.
        null_at: the branch that is null, of a union of null and this; -1 without a union.
        children: of a record its fields, of an array its item, of a map its key and its value.
        least, most: of a number; the size of a fixed, the symbols of an enum, the longest bytes: `most`.
    """

    kind: str
    null_at: int = -1
    children: tuple[Node, ...] = ()
    least: int = 0
    most: int = 0


def inlined(parsed: Any) -> Any:
    """A schema as fastavro parses it, with each use of a name replaced by what it names.

    Raises:
        NotNativeError: a type holds itself.
    """
    return _inlined(parsed, {}, frozenset())


def _inlined(declared: Any, names: dict[str, Any], within: frozenset[str]) -> Any:
    if isinstance(declared, list):
        return [_inlined(branch, names, within) if branch != "null" else branch for branch in declared]
    if isinstance(declared, str):
        if declared in within:
            raise NotNativeError(f"{declared} holds itself")
        return names.get(declared, {"type": declared})
    made = dict(declared)
    name = declared.get("name")
    if declared["type"] == "record":
        inside = within | {name}
        made["fields"] = [{**field, "type": _inlined(field["type"], names, inside)} for field in declared["fields"]]
    for part in ("items", "values"):
        if part in declared:
            made[part] = _inlined(declared[part], names, within)
    if isinstance(declared["type"], dict | list):
        raise NotNativeError("a type inside a type")
    if name is not None:
        names[name] = made
    return made


def node(declared: Any) -> Node:
    """How a value of an inlined type is read.

    Raises:
        NotNativeError: the type has something that only the reference knows.
    """
    return _node(declared, _DEEPEST)


def _node(declared: Any, depth: int) -> Node:
    if depth == 0:
        raise NotNativeError("types within types, too deep")
    if not isinstance(declared, list):
        return _NODES.get(declared["type"], _unknown_node)(declared, -1, depth)
    if len(declared) != 2 or declared.count("null") != 1:
        raise NotNativeError("a union of several types")
    null_at = declared.index("null")
    other = declared[1 - null_at]
    return _NODES.get(other["type"], _unknown_node)(other, null_at, depth)


def _unknown_node(declared: Any, _null_at: int, _depth: int) -> Node:
    raise NotNativeError(f"the type {declared['type']}")


def _plain_node(declared: Any, null_at: int, _: int) -> Node:
    return Node(declared["type"], null_at)


def _number_node(declared: Any, null_at: int, _: int) -> Node:
    logical = f"{declared['type']}-{declared.get('logicalType')}"
    if logical in LOGICAL_READERS and logical not in _RANGES:
        raise NotNativeError(f"the logical type {logical}")
    least, most = _RANGES.get(logical, LONG)  # a reader does not hold an int to its 32 bits
    return Node("number", null_at, (), least, most)


def _real_node(declared: Any, null_at: int, _: int) -> Node:
    return Node("fixed", null_at, (), 0, _SIZES[declared["type"]])


def _enum_node(declared: Any, null_at: int, _: int) -> Node:
    return Node("enum", null_at, (), 0, len(declared["symbols"]))


def _record_node(declared: Any, null_at: int, depth: int) -> Node:
    return Node("record", null_at, tuple(_node(field["type"], depth - 1) for field in declared["fields"]))


def _text_node(declared: Any, null_at: int, _: int) -> Node:
    kind = declared["type"]
    logical = f"{kind}-{declared.get('logicalType')}"
    if logical in LOGICAL_READERS and logical not in {"string-uuid", "bytes-decimal", "fixed-decimal"}:
        raise NotNativeError(f"the logical type {logical}")
    if kind == "string":
        return Node("uuid" if logical == "string-uuid" else "text", null_at)
    if kind == "bytes":
        return Node("bytes", null_at, (), 0, _MOST_DECIMAL_BYTES if logical == "bytes-decimal" else NO_LIMIT)
    return Node("fixed", null_at, (), 0, int(declared["size"]))


def _map_node(declared: Any, null_at: int, depth: int) -> Node:
    return Node("map", null_at, (Node("text"), _node(declared["values"], depth - 1)))


def _array_node(declared: Any, null_at: int, depth: int) -> Node:
    item = _node(declared["items"], depth - 1)
    if not _takes_bytes(item):
        raise NotNativeError("items that may have no size")
    return Node("array", null_at, (item,))


def _takes_bytes(each: Node) -> bool:
    """Whether every value has a byte at least; if not, a few bytes may tell of items without end."""
    if each.null_at >= 0:
        return True
    if each.kind == "record":
        return any(_takes_bytes(child) for child in each.children)
    return each.kind != "null" and (each.kind != "fixed" or each.most > 0)


_NODES: Final[dict[str, Callable[[Any, int, int], Node]]] = {
    "null": _plain_node,
    "boolean": _plain_node,
    "int": _number_node,
    "long": _number_node,
    "float": _real_node,
    "double": _real_node,
    "string": _text_node,
    "bytes": _text_node,
    "fixed": _text_node,
    "enum": _enum_node,
    "record": _record_node,
    "array": _array_node,
    "map": _map_node,
}
