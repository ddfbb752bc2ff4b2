"""How a schema's values are written: a tree of shapes, which the native encoder follows through rows in Python."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from fastavro.write import LOGICAL_WRITERS

from bus.pipeline.native.nodes import NotNativeError, inlined

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DEEPEST: Final = 64
"""Types within types; what goes deeper is left to the reference, so that no schema can exhaust the stack."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How a value is written.

    Attributes:
        kind: the Avro type: null, boolean, int, long, float, double, string, bytes, fixed, enum, record, array, map.
        null_at: the branch that is null, of a union of null and this; -1 without a union.
        names: of a record's fields.
        defaults: of these: a tuple of the default, empty for a field that has none.
        children: the fields of a record, the item of an array, the value of a map.
        size: of a fixed.
        symbols: of an enum, to their places.
        convert: makes a value of the logical type one of the Avro type, as fastavro does; None without a logical type.
        schema: what `convert` is told beside the value.
    """

    kind: str
    null_at: int = -1
    names: tuple[str, ...] = ()
    defaults: tuple[tuple[Any, ...], ...] = ()
    children: tuple[Shape, ...] = ()
    size: int = 0
    symbols: Mapping[str, int] = field(default_factory=dict)
    convert: Callable[[Any, Any], Any] | None = None
    schema: Any = None


def shape_of(parsed: Any) -> Shape:
    """The shape of a schema that fastavro has parsed.

    Raises:
        NotNativeError: it has something that only the reference knows.
    """
    return _shape(inlined(parsed), DEEPEST)


def _shape(declared: Any, depth: int) -> Shape:
    if depth == 0:
        raise NotNativeError("types within types, too deep")
    null_at = -1
    if isinstance(declared, list):
        if len(declared) != 2 or declared.count("null") != 1:
            raise NotNativeError("a union of several types")
        null_at = declared.index("null")
        declared = declared[1 - null_at]
    kind = declared["type"]
    if kind not in _PARTS:
        raise NotNativeError(f"the type {kind}")
    fields = declared["fields"] if kind == "record" else ()
    within = [each["type"] for each in fields] or [declared[part] for part in _PARTS[kind]]
    convert = LOGICAL_WRITERS.get(f"{kind}-{declared.get('logicalType')}")
    return Shape(
        kind,
        null_at,
        names=tuple(each["name"] for each in fields),
        defaults=tuple((each["default"],) if "default" in each else () for each in fields),
        children=tuple(_shape(each, depth - 1) for each in within),
        size=int(declared["size"]) if kind == "fixed" else 0,
        symbols={symbol: place for place, symbol in enumerate(declared.get("symbols", ()))},
        convert=convert,
        schema=declared if convert is not None else None,
    )


_PARTS: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(("null", "boolean", "int", "long", "float", "double", "string", "bytes", "fixed", "enum"), ()),
    "record": (),
    "array": ("items",),
    "map": ("values",),
}
"""Every type, and where the type within it stands."""
