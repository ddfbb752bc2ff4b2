"""Predicates as the compiled code tries them: on the fields that they read, as these are encoded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from fastavro.read import LOGICAL_READERS
from fastavro.write import LOGICAL_WRITERS

from bus.catalogue.avro_type import field_types, literal
from bus.pipeline.native.nodes import LONG, NotNativeError, inlined, node, only_native
from bus.pipeline.writer_schema import parsed_writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bus.catalogue.avro_type import AvroType
    from bus.catalogue.predicate import Predicate
    from bus.pipeline.predicate_index import PredicateIndex

Value = int | float | bytes
"""A number as it is written (a date in days, a decimal without its point), a boolean or an enum's symbol as 0, 1, …; a
real; a text in UTF-8."""

_KINDS: Final = {
    "string": "text",
    "enum": "enum",
    "boolean": "boolean",
    "float": "float",
    "double": "double",
    "decimal": "decimal",
    **dict.fromkeys(("int", "long", "date", "time", "timestamp", "local-timestamp"), "number"),
}
_MOST_PLACES: Final = 100
_DEEPEST: Final = 64
"""Predicates within predicates; what goes deeper is left to the reference, so that none can exhaust the stack."""


@dataclass(frozen=True, slots=True)
class Field:
    """How a field is read.

    Attributes:
        kind: text, number, enum, boolean, float, double or decimal.
        null_at: the branch that is null, of a union of null and this; -1 without a union.
        digits: of a decimal, at most; what has more is left to the reference.
    """

    kind: str
    null_at: int
    digits: int = 0


@dataclass(frozen=True, slots=True)
class Test:
    """Whether a predicate holds.

    Attributes:
        operation: in, prefix, range; all, any, not.
        field: of the first three, its place among those that are read.
        values: of `in`, ascending; the beginning; of a range its ends, the missing one left out.
        has_low, has_high: of a range.
        parts: of the last three.
    """

    operation: str
    field: int = 0
    values: tuple[Value, ...] = ()
    has_low: bool = False
    has_high: bool = False
    parts: tuple[Test, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A predicate that may hold where its value was found.

    Attributes:
        position: of the predicate.
        test: the whole of it, where being found does not prove that it holds.
    """

    position: int
    test: Test | None


@dataclass(frozen=True, slots=True)
class Filed:
    """Predicates under the values of a field.

    Attributes:
        field: its place among those that are read.
        prefix: bytes of its text that are looked for; 0 for the whole value.
        values: ascending.
        candidates: of each.
    """

    field: int
    prefix: int
    values: tuple[Value, ...]
    candidates: tuple[tuple[Candidate, ...], ...]


@dataclass(frozen=True, slots=True)
class FilterProgram:
    """A predicate index for the compiled code.

    Attributes:
        fields: what is read, in this order.
        filed: where candidates are found.
        rest: those that are tried each time.
    """

    fields: tuple[Field, ...]
    filed: tuple[Filed, ...]
    rest: tuple[Candidate, ...]


def compile_filters(index: PredicateIndex, names: Sequence[str], writer: dict[str, Any]) -> FilterProgram:
    """What finds in a writer's records what the index finds in them decoded.

    Args:
        index: of the predicates.
        names: the fields that are read, in the order in which their encodings are handed over.
        writer: Avro schema of the records.

    Raises:
        NotNativeError: there is something that only the reference knows.
    """
    missing = frozenset[str]().union(*(each.fields for each in index.predicates)).difference(names)
    if missing:
        raise NotNativeError(f"a predicate over {min(missing)}, which the writer does not have")
    with only_native():
        compiler = _Compiler(index.types, names, writer)
        return FilterProgram(
            fields=tuple(compiler.fields),
            filed=tuple(compiler.filed(filing, index) for filing in _filings(index)),
            rest=tuple(Candidate(position, compiler.test(index.predicates[position])) for position in index.rest),
        )


def _filings(index: PredicateIndex) -> Iterator[_Filing]:
    for name, filed in index.values.items():
        yield _Filing(name, 0, filed)
    for name, filed in index.prefixes.items():
        for size in {len(text.encode()) for text in filed}:
            yield _Filing(name, size, {text: found for text, found in filed.items() if len(text.encode()) == size})


@dataclass(frozen=True, slots=True)
class _Filing:
    """See `Filed`; values as fastavro decodes them."""

    name: str
    prefix: int
    positions: Mapping[Any, Sequence[int]]


class _Compiler:
    """For records of one writer."""

    def __init__(self, types: Mapping[str, AvroType], names: Sequence[str], writer: dict[str, Any]) -> None:
        parsed = inlined(parsed_writer(writer)[0])
        self._declared = {field["name"]: field["type"] for field in parsed["fields"]}
        self._written = field_types(writer)
        self._types = types
        self._places = {name: place for place, name in enumerate(names)}
        self.fields = [self._field(name) for name in names]

    def _field(self, name: str) -> Field:
        written, wanted = self._written[name], self._types[name]
        if (written.name, written.symbols) != (wanted.name, wanted.symbols) or written.name not in _KINDS:
            raise NotNativeError(f"a predicate over a field of type {written.name}")
        read = node(self._declared[name])
        if written.name == "decimal" and read.kind != "bytes":
            raise NotNativeError("a predicate over a decimal of fixed size")
        return Field(_KINDS[written.name], read.null_at, written.precision)

    def filed(self, filing: _Filing, index: PredicateIndex) -> Filed:
        """A field's part of the index."""
        value = str.encode if filing.prefix else lambda found: self._value(filing.name, found)
        found = sorted((value(each), positions) for each, positions in filing.positions.items())
        candidates = [
            tuple(
                Candidate(position, None if index.is_proved[position] else self.test(index.predicates[position]))
                for position in positions
            )
            for _, positions in found
        ]
        return Filed(self._places[filing.name], filing.prefix, tuple(each for each, _ in found), tuple(candidates))

    def test(self, predicate: Predicate, depth: int = _DEEPEST) -> Test:
        """The predicate, whole."""
        if depth == 0:
            raise NotNativeError("predicates within predicates, too deep")
        for operation, parts in (("all", predicate.all), ("any", predicate.any)):
            if parts is not None:
                return Test(operation, parts=tuple(self.test(part, depth - 1) for part in parts))
        if predicate.negated is not None:
            return Test("not", parts=(self.test(predicate.negated, depth - 1),))
        assert predicate.field is not None
        return self._leaf(predicate, predicate.field)

    def _leaf(self, predicate: Predicate, name: str) -> Test:
        place = self._places[name]
        if predicate.prefix is not None:
            return Test("prefix", place, (predicate.prefix.encode(),))
        if predicate.range is not None:
            ends = (predicate.range.low, math.ceil), (predicate.range.high, math.floor)
            given_ends = [(literal(end, self._types[name]), towards) for end, towards in ends if end is not None]
            values = tuple(self._value(name, end, towards) for end, towards in given_ends)
            return Test("range", place, values, has_low=ends[0][0] is not None, has_high=ends[1][0] is not None)
        given = (predicate.eq,) if predicate.values is None else predicate.values
        wanted = {self._value(name, literal(value, self._types[name])) for value in given}
        return Test("in", place, tuple(sorted(wanted)))

    def _value(self, name: str, value: Any, towards: Callable[[Fraction], int] | None = None) -> Value:
        """A value as fastavro decodes it, as it is compared.

        Args:
            name: of the field.
            value: of it.
            towards: of a decimal with more places than the field's, the one beside it that stands for it.
        """
        declared = self._declared[name]
        if isinstance(declared, list):
            declared = next(branch for branch in declared if branch != "null")
        logical = f"{declared['type']}-{declared.get('logicalType')}"
        if isinstance(value, Decimal):
            value = _unscaled(value, declared.get("scale", 0), towards)
        elif logical in LOGICAL_WRITERS:
            written = LOGICAL_WRITERS[logical](value, declared)
            if LOGICAL_READERS[logical](written, declared) != value:
                raise NotNativeError(f"a value that {logical} does not have")
            value = written
        if isinstance(value, str):
            return declared["symbols"].index(value) if "symbols" in declared else value.encode()
        if isinstance(value, float):
            if value != value:  # noqa: PLR0124  not a number: it has no place in an order
                raise NotNativeError("a value that is not a number")
            return value
        if not LONG[0] <= value <= LONG[1]:
            raise NotNativeError("a number of more than 64 bits")
        return int(value)


def _unscaled(value: Decimal, scale: int, towards: Callable[[Fraction], int] | None) -> int:
    """A decimal without its point; see `_Compiler._value`."""
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or abs(exponent) > _MOST_PLACES:  # written out it would fill the memory
        raise NotNativeError("a decimal of very many places")
    exact = Fraction(value) * 10**scale
    if towards is not None:
        return towards(exact)
    if exact.denominator != 1:
        raise NotNativeError("a decimal with more places than its field's")
    return int(exact)
