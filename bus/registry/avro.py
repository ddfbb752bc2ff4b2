"""Reads Avro schema declarations strictly: Apache Avro 1.12 specification, "Schema Declaration" and "Names"."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from bus.registry.default_value import DefaultCheck
from bus.registry.faults import invalid_schema
from bus.registry.schema import (
    PRIMITIVES,
    Array,
    Enum,
    Field,
    Fixed,
    Map,
    Named,
    Primitive,
    Record,
    Reference,
    Schema,
    Type,
    Union,
    compact_json,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MAX_CHARACTERS: Final = 1_000_000
MAX_DEPTH: Final = 100
Declaration = dict[str, Any]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_ORDERS = ("ascending", "descending", "ignore")
_FIRST = ("type", "name", "doc", "aliases", "fields", "symbols", "items", "values", "size", "default")


def read_schema(text: str, references: Sequence[Schema] = ()) -> Schema:
    """Read and check a schema; hostile text costs a second at most.

    Args:
        text: JSON.
        references: schemas whose named types it may use.

    Raises:
        RefusedError: 42201 with the reason.
    """
    if len(text) > MAX_CHARACTERS:
        raise invalid_schema(f"it has {len(text)} characters; {MAX_CHARACTERS} are the most")
    try:
        declaration = json.loads(text, parse_constant=_no_constant)
        reader = Reader({name: named for schema in references for name, named in schema.named.items()})
        top, normal = reader.read(declaration, "", 0)
        reader.check_defaults()
        return Schema(top, reader.named, compact_json(declaration), compact_json(normal))
    except RecursionError:
        raise invalid_schema("it is nested too deeply") from None
    except ValueError:
        raise invalid_schema("it is not JSON") from None


class Reader:
    """Reads one schema: each declaration becomes a type and its normal spelling.

    Attributes:
        named: the named types by full name; those it starts with are of referenced schemas.
    """

    def __init__(self, named: Mapping[str, Named]) -> None:
        self.named: dict[str, Named] = dict(named)
        self._declared: set[str] = set(named)
        self._defaults: list[tuple[Any, Type, str]] = []

    def read(self, declaration: Any, namespace: str, depth: int) -> tuple[Type, Any]:
        """The type and its normal spelling.

        Raises:
            RefusedError: 42201 with the reason.
        """
        if depth > MAX_DEPTH:
            raise invalid_schema(f"it is nested more than {MAX_DEPTH} levels deep")
        match declaration:
            case str():
                return self._by_name(declaration, namespace)
            case list():
                return self._union(declaration, namespace, depth)
            case dict():
                return self._complex(declaration, namespace, depth)
        raise invalid_schema(f"a type is a string, an object or an array, not {type(declaration).__name__}")

    def check_defaults(self) -> None:
        """Every default must be a value of its field's type, in the JSON encoding of defaults.

        Raises:
            RefusedError: 42201 naming the field.
        """
        check = DefaultCheck(self.named)
        for value, of, name in self._defaults:
            if not check.fits(value, of):
                raise invalid_schema(f"the default of field {name!r} does not fit its type")

    def _by_name(self, name: str, namespace: str) -> tuple[Type, Any]:
        if name in PRIMITIVES:
            return Primitive(name), name
        full = _full_name(name, namespace)
        if full not in self._declared and name in self._declared:
            full = name  # as Avro's Java does: a simple name may also be one without a namespace
        if full not in self._declared:
            raise invalid_schema(f"the type {full!r} is not defined")
        return Reference(full), full

    def _union(self, declarations: list[Any], namespace: str, depth: int) -> tuple[Type, Any]:
        read = [self.read(declaration, namespace, depth + 1) for declaration in declarations]
        branches = tuple(branch for branch, _ in read)
        if any(isinstance(branch, Union) for branch in branches):
            raise invalid_schema("a union directly contains a union")
        kinds = [branch.name if isinstance(branch, Reference) else branch.kind for branch in branches]
        if len(set(kinds)) < len(kinds):
            raise invalid_schema("a union has the same type twice")
        return Union(branches), [normal for _, normal in read]

    def _complex(self, declaration: Declaration, namespace: str, depth: int) -> tuple[Type, Any]:
        kind = declaration.get("type")
        match kind:
            case "record" | "error":
                return self._record(declaration, namespace, depth)
            case "enum":
                return self._enum(declaration, namespace)
            case "fixed":
                return self._fixed(declaration, namespace)
            case "array":
                items, normal = self.read(_required(declaration, "items"), namespace, depth + 1)
                return Array(items), _normal(declaration, items=normal)
            case "map":
                values, normal = self.read(_required(declaration, "values"), namespace, depth + 1)
                return Map(values), _normal(declaration, values=normal)
            case None:
                raise invalid_schema("a type has no attribute `type`")
        return self._annotated(declaration, namespace, depth)

    def _annotated(self, declaration: Declaration, namespace: str, depth: int) -> tuple[Type, Any]:
        """A primitive type, or the name of a type, with attributes around it; without any it is the name alone."""
        inner, normal = self.read(declaration["type"], namespace, depth + 1)
        if isinstance(inner, Primitive):
            inner = Primitive(inner.kind, _decimal(declaration) if inner.kind == "bytes" else None)
        return inner, normal if len(declaration) == 1 else _normal(declaration, type=normal)

    def _declare(self, declaration: Declaration, namespace: str) -> tuple[str, str, frozenset[str]]:
        """The full name, the namespace inside it, and the full names of its aliases; from now on it can be used."""
        name, own = _required(declaration, "name"), declaration.get("namespace")
        if not isinstance(name, str) or not isinstance(own, str | None):
            raise invalid_schema("a name or a namespace is not a string")
        full = _checked(name if "." in name else _full_name(name, namespace if own is None else own))
        if full in PRIMITIVES:
            raise invalid_schema(f"a type is named as the primitive type {full!r}")
        if full in self._declared:
            raise invalid_schema(f"the type {full!r} is defined twice")
        self._declared.add(full)
        inside = full.rpartition(".")[0]
        return full, inside, frozenset(_full_name(alias, inside) for alias in _strings(declaration, "aliases", ()))

    def _record(self, declaration: Declaration, namespace: str, depth: int) -> tuple[Type, Any]:
        name, inside, aliases = self._declare(declaration, namespace)
        fields = _required(declaration, "fields")
        if not isinstance(fields, list):
            raise invalid_schema(f"the fields of {name!r} are not an array")
        read = [self._field(field, name, inside, depth + 1) for field in fields]
        _refuse_twice([field.name for field, _ in read], f"the record {name!r} has a field")
        self.named[name] = Record(name, tuple(field for field, _ in read), aliases)
        return Reference(name), _normal(declaration, name=name, namespace=None, fields=[normal for _, normal in read])

    def _field(self, declaration: Any, record: str, namespace: str, depth: int) -> tuple[Field, Any]:
        name = declaration.get("name") if isinstance(declaration, dict) else None
        if not isinstance(name, str) or not _NAME.match(name):
            raise invalid_schema(f"a field of {record!r} has no valid name")
        if declaration.get("order", "ascending") not in _ORDERS:
            raise invalid_schema(f"the order of field {name!r} is none of {', '.join(_ORDERS)}")
        of, normal = self.read(_required(declaration, "type"), namespace, depth)
        if "default" in declaration:
            self._defaults.append((declaration["default"], of, name))
        aliases = frozenset(_strings(declaration, "aliases", ()))
        return Field(name, of, aliases, "default" in declaration), _normal(declaration, type=normal)

    def _enum(self, declaration: Declaration, namespace: str) -> tuple[Type, Any]:
        name, _, aliases = self._declare(declaration, namespace)
        symbols = _strings(declaration, "symbols")
        for symbol in symbols:
            if not _NAME.match(symbol):
                raise invalid_schema(f"{symbol[:40]!r} cannot be a symbol of the enum {name!r}")
        _refuse_twice(symbols, f"the enum {name!r} has a symbol")
        if "default" in declaration and declaration["default"] not in symbols:
            raise invalid_schema(f"the default of the enum {name!r} is none of its symbols")
        self.named[name] = Enum(name, tuple(symbols), aliases, "default" in declaration)
        return Reference(name), _normal(declaration, name=name, namespace=None)

    def _fixed(self, declaration: Declaration, namespace: str) -> tuple[Type, Any]:
        name, _, aliases = self._declare(declaration, namespace)
        size = _required(declaration, "size")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 2**31:
            raise invalid_schema(f"the size of the fixed {name!r} is not a number of bytes")
        self.named[name] = Fixed(name, size, aliases, _decimal(declaration))
        return Reference(name), _normal(declaration, name=name, namespace=None)


def _required(declaration: Declaration, attribute: str) -> Any:
    if attribute not in declaration:
        raise invalid_schema(f"a type or field has no attribute `{attribute}`")
    return declaration[attribute]


def _strings(declaration: Declaration, attribute: str, default: tuple[str, ...] | None = None) -> list[str]:
    found = declaration.get(attribute, default)
    if not isinstance(found, list | tuple) or not all(isinstance(item, str) for item in found):
        raise invalid_schema(f"`{attribute}` is not an array of strings")
    return list(found)


def _full_name(name: str, namespace: str) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"


def _checked(name: str) -> str:
    if not all(_NAME.match(part) for part in name.split(".")):
        raise invalid_schema(f"{name[:80]!r} is not a valid name")
    return name


def _refuse_twice(names: Iterable[str], what: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise invalid_schema(f"{what} twice: {name!r}")
        seen.add(name)


def _no_constant(name: str) -> None:
    """NaN and Infinity are Python's idea of JSON, not RFC 8259's."""
    raise ValueError(name)


def _decimal(declaration: Declaration) -> tuple[int, int] | None:
    """Precision and scale; a logical type that is not valid is to be ignored, says the specification."""
    precision, scale = declaration.get("precision"), declaration.get("scale", 0)
    if declaration.get("logicalType") != "decimal" or not isinstance(precision, int) or not isinstance(scale, int):
        return None
    return (precision, scale) if 0 <= scale <= precision else None


def _normal(declaration: Declaration, **replaced: Any) -> Declaration:
    """The declaration with attributes in one order; a replacement of None leaves the attribute out."""
    kept = {name: value for name, value in declaration.items() if name not in replaced}
    merged = kept | {name: value for name, value in replaced.items() if value is not None}
    first = {name: merged.pop(name) for name in _FIRST if name in merged}
    return first | {name: merged[name] for name in sorted(merged)}
