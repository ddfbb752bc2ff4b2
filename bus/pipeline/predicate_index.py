"""Which of many predicates hold for a record, without trying each: what keeps a record that matches nothing cheap.

Every predicate that can be is filed under values that a field must have, or begin with, for it to hold: `eq` and `in`
under their values, `prefix` under its text, `all` under the part that lets the fewest records through, `any` under all
of its parts. Finding the candidates costs one look-up per field and prefix length, however many predicates there are.
What is left (range, not, and what is made of these alone) is tried one by one.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bus.catalogue.avro_type import literal
from bus.catalogue.predicate import compile_predicate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bus.catalogue.avro_type import AvroType
    from bus.catalogue.predicate import Predicate

    Test = Callable[[Mapping[str, Any]], bool]
    Candidate = tuple[int, Test | None]
    """A predicate's position, and the whole of it where being found does not prove that it holds."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a predicate is filed: under a field's value, or under how it begins."""

    field: str
    value: Any
    is_prefix: bool = False


class PredicateIndex:
    """Predicates over records of one schema, filed for finding those that hold.

    Args:
        predicates: by their positions the matches are told.
        types: of the schema's fields.

    Raises:
        ValueError: as `compile_predicate`.
    """

    def __init__(self, predicates: Sequence[Predicate], types: Mapping[str, AvroType]) -> None:
        values: dict[str, dict[Any, list[Candidate]]] = defaultdict(lambda: defaultdict(list))
        prefixes: dict[tuple[str, int], dict[str, list[Candidate]]] = defaultdict(lambda: defaultdict(list))
        self._rest: list[tuple[int, Test]] = []
        for position, predicate in enumerate(predicates):
            test = compile_predicate(predicate, types)
            places = _places(predicate, types)
            if places is None:
                self._rest.append((position, test))
                continue
            candidate = (position, None if _is_proved(predicate) else test)
            for place in dict.fromkeys(places):
                if place.is_prefix:
                    prefixes[place.field, len(place.value)][place.value].append(candidate)
                else:
                    values[place.field][place.value].append(candidate)
        self._values = [(name, dict(filed)) for name, filed in values.items()]
        self._prefixes = [(name, length, dict(filed)) for (name, length), filed in prefixes.items()]

    def matches(self, record: Mapping[str, Any]) -> tuple[int, ...]:
        """The positions of the predicates that hold for a decoded record, ascending."""
        get = record.get
        found: list[Candidate] = []
        for name, filed in self._values:
            if (here := filed.get(get(name))) is not None:
                found += here
        for name, length, begun in self._prefixes:
            if (value := get(name)) is not None and (here := begun.get(value[:length])) is not None:
                found += here
        if not found and not self._rest:
            return ()
        holding = {position for position, test in found if test is None or test(record)}
        holding.update(position for position, test in self._rest if test(record))
        return tuple(sorted(holding))


def _places(predicate: Predicate, types: Mapping[str, AvroType]) -> list[_Place] | None:
    """Places of which at least one is found for every record that satisfies the predicate; None if there are none."""
    if predicate.all is not None:
        filed = [places for part in predicate.all if (places := _places(part, types)) is not None]
        return min(filed, key=lambda places: _share(places, types), default=None)
    if predicate.any is not None:
        parts = [_places(part, types) for part in predicate.any]
        return None if None in parts else [place for part in parts for place in part or ()]
    if predicate.field is None or predicate.range is not None:
        return None
    if predicate.prefix is not None:
        return [_Place(predicate.field, predicate.prefix, is_prefix=True)]
    given = (predicate.eq,) if predicate.values is None else predicate.values
    return [_Place(predicate.field, literal(value, types[predicate.field])) for value in given]


def _is_proved(predicate: Predicate) -> bool:
    """Whether being found proves that the predicate holds: so for single tests, and for any of such."""
    if predicate.any is not None:
        return all(_is_proved(part) for part in predicate.any)
    return predicate.field is not None


def _share(places: Iterable[_Place], types: Mapping[str, AvroType]) -> float:
    """A guess at the share of records that such places let through: the longer a code, the more of them there are."""
    return sum(_share_of(place, types[place.field]) for place in places)


def _share_of(place: _Place, declared: AvroType) -> float:
    if declared.name == "boolean":
        return 0.5
    if declared.symbols:
        return 1 / len(declared.symbols)
    return float(10.0 ** -len(place.value)) if isinstance(place.value, str) else 0.001
