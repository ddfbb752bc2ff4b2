"""Whether two predicates can never hold for one record: what lets several datasets feed one entity.

The answer is on the safe side: no means *not known to be disjoint*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bus.catalogue.avro_type import AvroType, literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bus.catalogue.predicate import Predicate


def disjoint(one: Predicate, other: Predicate, types: Mapping[str, AvroType]) -> bool:
    """Whether it is certain that no record of these field types satisfies both.

    Raises:
        ValueError: a literal that its field's type does not have.
    """
    for left, right in ((one, other), (other, one)):
        if left.any is not None:
            return all(disjoint(part, right, types) for part in left.any)
    for left, right in ((one, other), (other, one)):
        if any(disjoint(part, right, types) for part in left.all or ()):
            return True
        if left.negated is not None and (left.negated == right or _implies(right, left.negated, types)):
            return True
    if one.field is None or one.field != other.field:
        return False
    return _leaves_disjoint(_Leaf(one, types), _Leaf(other, types))


class _Leaf:
    """A test of one field, its literals as the field's type has them."""

    def __init__(self, leaf: Predicate, types: Mapping[str, AvroType]) -> None:
        assert leaf.field is not None
        declared = types[leaf.field]
        given = (leaf.eq,) if leaf.eq is not None else leaf.values
        self.values = None if given is None else frozenset(literal(value, declared) for value in given)
        self.prefix = leaf.prefix
        ends = (leaf.range.low, leaf.range.high) if leaf.range else (None, None)
        self.low, self.high = (None if end is None else literal(end, declared) for end in ends)

    def may_hold(self, value: Any) -> bool:
        if self.values is not None:
            return value in self.values
        if self.prefix is not None:
            return isinstance(value, str) and value.startswith(self.prefix)
        return not (_below(value, self.low) or _below(self.high, value))


def _implies(one: Predicate, other: Predicate, types: Mapping[str, AvroType]) -> bool:
    """Certain that `one` holds only where `other` does (tests of one field: values and prefixes)."""
    if one.field is None or one.field != other.field:
        return False
    left, right = _Leaf(one, types), _Leaf(other, types)
    if left.values is not None:
        return all(right.may_hold(value) for value in left.values)
    return left.prefix is not None and right.prefix is not None and left.prefix.startswith(right.prefix)


def _leaves_disjoint(one: _Leaf, other: _Leaf) -> bool:
    for left, right in ((one, other), (other, one)):
        if left.values is not None:
            return not any(right.may_hold(value) for value in left.values)
    if one.prefix is not None and other.prefix is not None:
        return not (one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix))
    return _below(one.high, other.low) or _below(other.high, one.low)


def _below(left: Any, right: Any) -> bool:
    return left is not None and right is not None and bool(left < right)
