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

    Attributes:
        predicates, types: as given.
        values, prefixes: field → value, or how it begins → the positions of those that are filed there.
        rest: the positions of those that are tried for each record.
        is_proved: of each, whether being found proves that it holds.
    """

    def __init__(self, predicates: Sequence[Predicate], types: Mapping[str, AvroType]) -> None:
        self.predicates = predicates
        self.types = types
        self.values: dict[str, dict[Any, list[int]]] = defaultdict(lambda: defaultdict(list))
        self.prefixes: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        self.rest: list[int] = []
        self.is_proved = [_is_proved(predicate) for predicate in predicates]
        tests = [compile_predicate(predicate, types) for predicate in predicates]
        for position, predicate in enumerate(predicates):
            places = _places(predicate, types)
            if places is None:
                self.rest.append(position)
                continue
            for place in dict.fromkeys(places):
                filed: Any = self.prefixes if place.is_prefix else self.values
                filed[place.field][place.value].append(position)
        candidates = [
            (position, None if proved else test)
            for position, (test, proved) in enumerate(zip(tests, self.is_proved, strict=True))
        ]
        self._rest = [(position, tests[position]) for position in self.rest]
        self._values = [(name, _told(candidates, filed)) for name, filed in self.values.items()]
        self._prefixes = [
            (name, length, _told(candidates, {text: filed[text] for text in filed if len(text) == length}))
            for name, filed in self.prefixes.items()
            for length in sorted(set(map(len, filed)))
        ]

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


def _told(candidates: Sequence[Candidate], filed: Mapping[Any, Sequence[int]]) -> dict[Any, list[Candidate]]:
    return {value: [candidates[position] for position in positions] for value, positions in filed.items()}


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
