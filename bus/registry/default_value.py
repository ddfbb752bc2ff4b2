"""Whether a field's default is a value of its type (Avro 1.12 specification, "Complex Types", table of defaults)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bus.registry.schema import Array, Enum, Fixed, Map, Primitive, Record, Reference, Type, Union

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bus.registry.schema import Named


class DefaultCheck:
    """Checks defaults of one schema.

    Answers are remembered per (value, named type): unions of records that hold such unions would otherwise cost
    exponential time.
    """

    def __init__(self, named: Mapping[str, Named]) -> None:
        self._named = named
        self._known: dict[tuple[int, str], bool] = {}

    def fits(self, value: Any, of: Type) -> bool:
        """True if it does; of a union any branch may take it, as since Avro 1.12."""
        match of:
            case Primitive():
                return _fits_primitive(value, of.kind)
            case Array():
                return isinstance(value, list) and all(self.fits(item, of.items) for item in value)
            case Map():
                return isinstance(value, dict) and all(self.fits(item, of.values) for item in value.values())
            case Union():
                return any(self.fits(value, branch) for branch in of.branches)
            case Reference():
                key = (id(value), of.name)
                if key not in self._known:
                    self._known[key] = self._fits_named(value, self._named[of.name])
                return self._known[key]

    def _fits_named(self, value: Any, named: Named) -> bool:
        match named:
            case Enum():
                return value in named.symbols
            case Fixed():
                return _is_bytes(value) and len(value) == named.size
            case Record():
                return isinstance(value, dict) and all(
                    self.fits(value[field.name], field.type) if field.name in value else field.has_default
                    for field in named.fields
                )


def _is_bytes(value: Any) -> bool:
    return isinstance(value, str) and all(ord(character) < 256 for character in value)


def _fits_primitive(value: Any, kind: str) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match kind:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "int" | "long":
            bound = 2 ** (31 if kind == "int" else 63)
            return number and isinstance(value, int) and -bound <= value < bound
        case "float" | "double":
            return number
        case "bytes":
            return _is_bytes(value)
    return isinstance(value, str)
