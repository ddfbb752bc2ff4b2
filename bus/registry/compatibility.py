"""Can a reader with one schema read what was written with another? Avro 1.12 specification, "Schema Resolution"."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from bus.registry.faults import invalid_schema
from bus.registry.schema import Array, Enum, Fixed, Map, Primitive, Record, Reference, Union

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bus.registry.schema import Field, Named, Schema, Type

MAX_COMPARISONS: Final = 200_000

PROMOTIONS: Final = {
    "int": {"long", "float", "double"},
    "long": {"float", "double"},
    "float": {"double"},
    "string": {"bytes"},
    "bytes": {"string"},
}


class Level(StrEnum):
    """What a new schema must be compatible with."""

    NONE = "NONE"
    BACKWARD = "BACKWARD"
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    FORWARD = "FORWARD"
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"
    FULL = "FULL"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"

    @property
    def transitive(self) -> bool:
        """True if all earlier versions count, not only the latest."""
        return self.endswith("_TRANSITIVE")

    @property
    def new_reads_old(self) -> bool:
        """True for BACKWARD and FULL."""
        return self.startswith(("BACKWARD", "FULL"))

    @property
    def old_reads_new(self) -> bool:
        """True for FORWARD and FULL."""
        return self.startswith(("FORWARD", "FULL"))


def incompatibilities(level: Level, new: Schema, earlier: Sequence[tuple[int, Schema]]) -> list[str]:
    """Why the new schema breaks the level; empty if it does not.

    Args:
        level: the rule.
        new: the schema to be registered.
        earlier: version number and schema, oldest first.

    Raises:
        RefusedError: 42201 if the schemas are too large to be compared.
    """
    compared = earlier if level.transitive else earlier[-1:]
    found: list[str] = []
    for version, old in compared:
        if level.new_reads_old:
            found += [f"{text} (the new schema reading version {version})" for text in unreadable(new, old)]
        if level.old_reads_new:
            found += [f"{text} (version {version} reading the new schema)" for text in unreadable(old, new)]
    return found


def unreadable(reader: Schema, writer: Schema) -> list[str]:
    """What of the writer's data the reader cannot read: one sentence each with the path in the reader's schema."""
    return _Resolution(reader, writer).problems(reader.type, writer.type, "")


@dataclass(slots=True)
class _Budget:
    left: int = MAX_COMPARISONS

    def spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise invalid_schema("it is too large to be compared with an earlier version")


class _Resolution:
    """One comparison. A pair of named types is compared once: recursive types end, and so do hostile ones."""

    def __init__(self, reader: Schema, writer: Schema) -> None:
        self._reader = reader.named
        self._writer = writer.named
        self._known: dict[tuple[str, str], list[str]] = {}
        self._budget = _Budget()

    def problems(  # noqa: PLR0911  (one answer per kind of type)
        self, reader: Type, writer: Type, path: str
    ) -> list[str]:
        """What goes wrong at the path."""
        self._budget.spend()
        match reader, writer:
            case _, Union():
                return [text for branch in writer.branches for text in self.problems(reader, branch, path)]
            case Union(), _:
                return self._in_union(reader, writer, path)
            case Reference(), Reference():
                return self._named(reader.name, writer.name, path)
            case Array(), Array():
                return self.problems(reader.items, writer.items, f"{path}/items")
            case Map(), Map():
                return self.problems(reader.values, writer.values, f"{path}/values")
            case Primitive(), Primitive():
                return _of_primitives(reader, writer, path)
        return [f"{_at(path)}: {_label(reader)} cannot read {_label(writer)}"]

    def _in_union(self, reader: Union, writer: Type, path: str) -> list[str]:
        if any(not self.problems(branch, writer, path) for branch in reader.branches):
            return []
        return [f"{_at(path)}: the reader's union has no branch for {_label(writer)}"]

    def _named(self, reader: str, writer: str, path: str) -> list[str]:
        pair = (reader, writer)
        if pair not in self._known:
            before = len(self._known)
            self._known[pair] = []  # assumed while its own parts are compared
            found = self._of_named(self._reader[reader], self._writer[writer], path)
            if found:
                self._forget_assumed(before)
            self._known[pair] = found
        return self._known[pair]

    def _forget_assumed(self, before: int) -> None:
        """Forget pairs found readable since then: they may rest on an assumption that turned out wrong."""
        since = [self._known.popitem() for _ in range(len(self._known) - before)]
        self._known.update((pair, found) for pair, found in since if found)

    def _of_named(self, reader: Named, writer: Named, path: str) -> list[str]:
        if reader.kind != writer.kind:
            return [f"{_at(path)}: {reader.kind} {reader.name} cannot read {writer.kind} {writer.name}"]
        if _simple(reader.name) != _simple(writer.name) and writer.name not in reader.aliases:
            return [f"{_at(path)}: the name {reader.name} is neither {writer.name} nor has it as an alias"]
        match reader, writer:
            case Record(), Record():
                written = {field.name: field for field in writer.fields}
                return [text for i in range(len(reader.fields)) for text in self._field(reader, written, i, path)]
            case Enum(), Enum():
                missing = sorted(set(writer.symbols) - set(reader.symbols))
                lacks = missing and not reader.has_default
                return [f"{_at(path)}: the enum {reader.name} lacks {', '.join(missing)}"] if lacks else []
            case Fixed(), Fixed():
                same = reader.size == writer.size and _same_decimal(reader, writer)
                return [] if same else [f"{_at(path)}: the fixed {reader.name} differs in size or precision"]
        return []

    def _field(self, reader: Record, writer: Mapping[str, Field], index: int, path: str) -> list[str]:
        field, here = reader.fields[index], f"{path}/fields/{index}"
        written = next((writer[name] for name in (field.name, *sorted(field.aliases)) if name in writer), None)
        if written is not None:
            return self.problems(field.type, written.type, f"{here}/type")
        if field.has_default:
            return []
        return [f"{here}: the reader's field '{field.name}' has no default, and the writer does not have the field"]


def _of_primitives(reader: Primitive, writer: Primitive, path: str) -> list[str]:
    if reader.kind != writer.kind and reader.kind not in PROMOTIONS.get(writer.kind, ()):
        return [f"{_at(path)}: {reader.kind} cannot read {writer.kind}"]
    if not _same_decimal(reader, writer):
        return [f"{_at(path)}: decimals of different precision or scale"]
    return []


def _same_decimal(reader: Primitive | Fixed, writer: Primitive | Fixed) -> bool:
    """Two decimals match only if precision and scale do; one that is a decimal on one side only is bytes to both."""
    return reader.decimal is None or writer.decimal is None or reader.decimal == writer.decimal


def _label(of: Type) -> str:
    return of.name if isinstance(of, Reference) else of.kind


def _simple(name: str) -> str:
    return name.rpartition(".")[2]


def _at(path: str) -> str:
    return path or "/"
