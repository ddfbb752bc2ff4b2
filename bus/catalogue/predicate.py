"""Typed predicates over a record's fields: eq, in, prefix, range; all, any, not. Row filters and scopes are such.

Two-valued: a null field, or one that is absent, satisfies no eq, in, prefix or range (so `not` of one holds for it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from bus.catalogue.avro_type import AvroType, literal
from bus.catalogue.model import Model, Scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_ORDERED = {"int", "long", "float", "double", "date", "time", "timestamp", "local-timestamp", "decimal", "string"}


class Range(Model):
    """From `from` up to and including `to`; one end may be open. Texts are compared by code point."""

    low: Scalar | None = Field(default=None, alias="from")
    high: Scalar | None = Field(default=None, alias="to")

    @model_validator(mode="after")
    def _has_an_end(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError("a range needs `from` or `to`")
        return self


class Predicate(Model):
    """Either a test of one `field` (with one of eq, in, prefix, range), or one of all, any, not."""

    field: str | None = None
    eq: Scalar | None = None
    values: tuple[Scalar, ...] | None = Field(default=None, alias="in", min_length=1)
    prefix: str | None = Field(default=None, min_length=1)
    range: Range | None = None
    all: tuple[Predicate, ...] | None = Field(default=None, min_length=1)
    any: tuple[Predicate, ...] | None = Field(default=None, min_length=1)
    negated: Predicate | None = Field(default=None, alias="not")

    @model_validator(mode="after")
    def _is_one_test(self) -> Self:
        tests = sum(value is not None for value in (self.eq, self.values, self.prefix, self.range))
        groups = sum(value is not None for value in (self.all, self.any, self.negated))
        if (self.field is None, tests, groups) not in {(False, 1, 0), (True, 0, 1)}:
            raise ValueError("either `field` with one of eq, in, prefix, range; or one of all, any, not")
        return self

    def leaves(self) -> Iterator[Predicate]:
        """The tests of single fields in it."""
        if self.field is not None:
            yield self
        for part in (*(self.all or ()), *(self.any or ()), *((self.negated,) if self.negated else ())):
            yield from part.leaves()

    @property
    def fields(self) -> frozenset[str]:
        """The fields that it reads."""
        return frozenset(leaf.field for leaf in self.leaves() if leaf.field is not None)

    def renamed(self, names: Mapping[str, str]) -> Predicate:
        """The same predicate over fields of other names."""
        update: dict[str, Any] = {}
        if self.field is not None:
            update["field"] = names[self.field]
        for group in ("all", "any"):
            if (parts := getattr(self, group)) is not None:
                update[group] = tuple(part.renamed(names) for part in parts)
        if self.negated is not None:
            update["negated"] = self.negated.renamed(names)
        return self.model_copy(update=update)


def compile_predicate(predicate: Predicate, types: Mapping[str, AvroType]) -> Callable[[Mapping[str, Any]], bool]:
    """The predicate as a function of a decoded record.

    Raises:
        ValueError: a field that is not there, or a value that its type does not have; names the field.
    """
    if predicate.all is not None:
        tests = tuple(compile_predicate(part, types) for part in predicate.all)
        return lambda record: all(test(record) for test in tests)
    if predicate.any is not None:
        tests = tuple(compile_predicate(part, types) for part in predicate.any)
        return lambda record: any(test(record) for test in tests)
    if predicate.negated is not None:
        inner = compile_predicate(predicate.negated, types)
        return lambda record: not inner(record)
    name = predicate.field
    assert name is not None
    if name not in types:
        raise ValueError(f"there is no field {name!r}")
    try:
        return _leaf(predicate, name, types[name])
    except ValueError as error:
        raise ValueError(f"field {name!r}: {error}") from None


def _leaf(predicate: Predicate, name: str, declared: AvroType) -> Callable[[Mapping[str, Any]], bool]:
    if predicate.eq is not None or predicate.values is not None:
        given = (predicate.eq,) if predicate.values is None else predicate.values
        wanted = frozenset(literal(value, declared) for value in given)
        return lambda record: record.get(name) in wanted
    if predicate.prefix is not None:
        if declared.name != "string":
            raise ValueError(f"prefix is for strings, this is {declared.name}")
        prefix = predicate.prefix
        return lambda record: (value := record.get(name)) is not None and value.startswith(prefix)
    assert predicate.range is not None
    return _range(predicate.range, name, declared)


def _range(given: Range, name: str, declared: AvroType) -> Callable[[Mapping[str, Any]], bool]:
    if declared.name not in _ORDERED:
        raise ValueError(f"range is for what has an order, this is {declared.name}")
    low = None if given.low is None else literal(given.low, declared)
    high = None if given.high is None else literal(given.high, declared)
    if low is None:
        return lambda record: (value := record.get(name)) is not None and value <= high
    if high is None:
        return lambda record: (value := record.get(name)) is not None and value >= low
    return lambda record: (value := record.get(name)) is not None and low <= value <= high
