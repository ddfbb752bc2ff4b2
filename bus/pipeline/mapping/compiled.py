"""A mapping compiled for one writer's row schema: from a row to the canonical record, or to the reason against it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bus.catalogue.avro_type import field_types, literal
from bus.catalogue.predicate import compile_predicate
from bus.pipeline.mapping.cross_rule import compile_cross_rule
from bus.pipeline.mapping.field_rule import compile_field
from bus.pipeline.reject import Reject, RejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bus.catalogue.avro_type import AvroType
    from bus.catalogue.codelist import CodeList
    from bus.catalogue.dataset import Dataset
    from bus.catalogue.entity import Entity
    from bus.catalogue.mapping import Mapping as MappingResource
    from bus.pipeline.mapping.cross_rule import Check
    from bus.pipeline.mapping.field_rule import Make

    Holds = Callable[[Mapping[str, Any]], bool]
    KeyTest = Callable[[Sequence[str]], bool]


class CompiledMapping:
    """A pure function of a row.

    Attributes:
        fields_read: the source fields that it looks at.
        broken: why no row of this writer can be mapped (a source field that the record needs is gone, or changed its
            type); every row is then rejected with it. So nothing is lost: the dead-letter topic keeps the rows, and
            they are redriven after the mapping was mended. Keys still work, so deletions go through.
    """

    __slots__ = ("_checks", "_is_in_scope", "_key_makes", "_key_order", "_makes", "broken", "fields_read")

    def __init__(  # noqa: PLR0913, PLR0917  the parts that `compile_mapping` has made
        self,
        makes: Sequence[tuple[str, Make]],
        checks: Sequence[Check],
        key: Mapping[str, int],
        is_in_scope: KeyTest,
        fields_read: frozenset[str],
        broken: Reject | None = None,
    ) -> None:
        self._makes = tuple(makes)
        self._key_makes = tuple(make for name, make in makes if name in key)
        self._checks = tuple(checks)
        self._key_order = tuple(key.values())
        self._is_in_scope = is_in_scope
        self.fields_read = fields_read
        self.broken = broken

    def apply(self, row: dict[str, Any]) -> dict[str, Any] | Reject:
        """The canonical record of a row as fastavro decodes it; encodable with the entity's schema."""
        if self.broken is not None:
            return self.broken
        try:
            record = {name: make(row) for name, make in self._makes}
            for check in self._checks:
                check(record)
        except RejectedError as rejected:
            return rejected.reject
        return record

    def has_published(self, raw_key_texts: Sequence[str], row: dict[str, Any] | None) -> bool:
        """Whether there can be a record of a key.

        Not of one outside of the dataset's scope, which is another dataset's, nor of one that the rules of the key's
        fields reject.

        Args:
            raw_key_texts: of the raw key.
            row: as it was last, if that is known.
        """
        if not self._is_in_scope(raw_key_texts):
            return False
        if self.broken is not None or row is None:
            return True
        try:
            for make in self._key_makes:
                make(row)
        except RejectedError:
            return False
        return True

    def entity_key(self, raw_key_texts: Sequence[str]) -> list[str]:
        """The texts of the entity's key, from those of the raw key alone."""
        return [raw_key_texts[index] for index in self._key_order]


def compile_mapping(
    mapping: MappingResource,
    entity: Entity,
    dataset: Dataset,
    codelists: Mapping[str, CodeList],
    row_schema: dict[str, Any],
) -> CompiledMapping:
    """The mapping for rows of a writer's schema.

    Args:
        mapping: a mapping that `bus validate` accepts.
        entity: what it makes.
        dataset: what it reads; its key and its scope.
        codelists: by name; those that the mapping names.
        row_schema: Avro record schema of the rows. Different versions of a source's schema get one compilation each.
    """
    sources, targets = field_types(row_schema), field_types(entity.spec.avro)
    makes: list[tuple[str, Make]] = []
    broken: Reject | None = None
    for name, rule in mapping.spec.fields.items():
        try:
            types = [sources.get(source) for source in rule.sources]
            makes.append((name, compile_field(name, rule, types, targets[name], codelists)))
        except RejectedError as rejected:
            broken = broken or rejected.reject
        except ValueError as error:
            broken = broken or Reject("type", name, str(error))
    checks = [compile_cross_rule(rule) for rule in mapping.spec.rules]
    key = _key_order(mapping, entity, dataset)
    is_in_scope: KeyTest = _everywhere
    if dataset.spec.scope is not None:
        sources_of = {mapping.spec.fields[name].sources[0]: name for name in entity.spec.key}
        scope = dataset.spec.scope.renamed(sources_of)
        holds = compile_predicate(scope, targets)
        checks.append(_scope_check(holds, entity, dataset))
        is_in_scope = _key_test(holds, {name: key[name] for name in scope.fields}, targets)
    read = frozenset(source for rule in mapping.spec.fields.values() for source in rule.sources)
    return CompiledMapping(makes, checks, key, is_in_scope, read, broken)


def _key_order(mapping: MappingResource, entity: Entity, dataset: Dataset) -> dict[str, int]:
    """For each field of the entity's key, the place of its source in the dataset's key."""
    return {name: dataset.spec.key.index(mapping.spec.fields[name].sources[0]) for name in entity.spec.key}


def _everywhere(_: Sequence[str]) -> bool:
    return True


def _scope_check(holds: Holds, entity: Entity, dataset: Dataset) -> Check:
    """For canonical records."""
    reject = Reject("outside_scope", entity.spec.key[0], f"the key is outside the scope of dataset {dataset.name}")

    def check(record: dict[str, Any]) -> None:
        if not holds(record):
            raise RejectedError(reject)

    return check


def _key_test(holds: Holds, places: Mapping[str, int], types: Mapping[str, AvroType]) -> KeyTest:
    """For a raw key's texts, of which the fields of the entity's key are plain copies."""

    def is_in_scope(texts: Sequence[str]) -> bool:
        try:
            return holds({name: _of_key(texts[place], types[name]) for name, place in places.items()})
        except (ValueError, ArithmeticError):  # no text of that type: there was no such record
            return False

    return is_in_scope


def _of_key(text: str, declared: AvroType) -> Any:
    """The value that stands in a key as this text; see `bus.wire.key_text`.

    Raises:
        ValueError: there is none.
    """
    if declared.name == "boolean":
        return ("false", "true").index(text)
    return literal(int(text) if declared.name in {"int", "long"} else text, declared)
