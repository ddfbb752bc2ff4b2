"""From the catalogue to what the lanes do: the stages, compiled, and their input topics."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import structlog

from bus import wire
from bus.catalogue import topics
from bus.catalogue.avro_type import field_types
from bus.catalogue.predicate import compile_predicate
from bus.errors import ConfigError, Finding, Severity
from bus.pipeline.codec import encoder
from bus.pipeline.entity_views import EntityViews, ViewOutput
from bus.pipeline.lanes import share
from bus.pipeline.loop import Work
from bus.pipeline.mapping.compiled import compile_mapping
from bus.pipeline.mapping.mask import Pseudonym, compile_id, compile_key, compile_projection
from bus.pipeline.native.program import compile_mapping_program, compile_view_program
from bus.pipeline.normalise import DatasetNormaliser, EntityOutput

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable, Iterable, Sequence

    from bus.catalogue.catalogue import Catalogue
    from bus.catalogue.dataset import Dataset
    from bus.catalogue.entity import Entity
    from bus.catalogue.mapping import Mapping as MappingResource
    from bus.catalogue.view import View
    from bus.kafka.registry_client import SchemaRegistry
    from bus.pipeline.codec import Decoders
    from bus.pipeline.normalise import Normalisers
    from bus.spi import SourceDataset

T = TypeVar("T")

_log = structlog.get_logger()

SCHEMAS_AT_ONCE: Final = 16
"""Output schemas asked for side by side: a worker of hundreds of views does not start one after the other."""

NORMALISE: Final = "normalise"
ROUTE: Final = "route"
GROUPS: Final = {NORMALISE: topics.NORMALISE_GROUP, ROUTE: topics.ROUTE_GROUP}
"""The stages, and the consumer groups that hold their offsets."""


Unrouted = Mapping[str, list[str]]
"""Topic of a view to which nothing is routed → why, and what to do; but for those that do not exist."""

TopicIds = Mapping[str, str]
"""Name of a view's topic → Kafka's id of it; of those that exist."""


@dataclass(frozen=True, slots=True)
class StageWork:
    """A stage as of one state of the catalogue.

    Attributes:
        topics: its inputs with their numbers of partitions.
        normalisers, entities: see `Work`.
        unrouted: see `Unrouted`.
    """

    topics: Mapping[str, int]
    normalisers: Normalisers = field(default_factory=dict)
    entities: Mapping[str, EntityViews] = field(default_factory=dict)
    unrouted: Unrouted = field(default_factory=dict)

    def of_lane(self, lane: int, lanes: int) -> Work:
        """The part of one lane."""
        return Work(share(self.topics, lane, lanes), self.normalisers, self.entities)


class StageWorks:
    """The work of each stage, as the catalogue changes.

    What a change leaves alone stays the same object, with all that was compiled for it since: of a catalogue of
    thousands of views, one that is new costs the lanes no more than it does itself.

    Args:
        registry: knows the ids of the output schemas; asked once for each.
        decoders: shared by the lanes of a process.
        pseudonym_keys: the secret key of a name; ConfigError if there is none.
    """

    def __init__(self, registry: SchemaRegistry, decoders: Decoders, pseudonym_keys: Callable[[str], bytes]) -> None:
        self._registry = registry
        self._decoders = decoders
        self._pseudonym_keys = pseudonym_keys
        self._normalisers = _Kept[DatasetNormaliser]()
        self._views = _Kept[ViewOutput]()
        self._entities = _Kept[EntityViews]()

    async def read(self, catalogue: Catalogue, topic_ids: TopicIds) -> dict[str, StageWork]:
        """The work as of a catalogue. A view whose topic does not exist is left out: it is filled once it does.

        Args:
            catalogue: what there is.
            topic_ids: of the views' topics.

        Raises:
            RegistryUnavailableError: the ids of the output schemas cannot be had.
        """
        works = {NORMALISE: await self._normalise(catalogue), ROUTE: await self._route(catalogue, topic_ids)}
        for kept in (self._normalisers, self._views, self._entities):
            kept.forget_unused()
        return works

    async def _normalise(self, catalogue: Catalogue) -> StageWork:
        pairs = [
            (each, mapping) for each in catalogue.datasets.values() for mapping in catalogue.mappings_of(each.name)
        ]
        codelists = tuple(catalogue.codelists.values())
        made = await _side_by_side(
            partial(
                self._normalisers.get,
                (dataset.name, mapping.name),
                (dataset, mapping, catalogue.entities[mapping.spec.entity], codelists),
                partial(self._normaliser, catalogue, dataset, mapping),
            )
            for dataset, mapping in pairs
        )
        normalisers: dict[str, list[DatasetNormaliser]] = defaultdict(list)
        inputs = {}
        for (dataset, _), normaliser in zip(pairs, made, strict=True):
            topic = wire.raw_topic(dataset.name)
            normalisers[topic].append(normaliser)
            inputs[topic] = dataset.spec.partitions
        return StageWork(inputs, dict(normalisers))

    async def _normaliser(self, catalogue: Catalogue, dataset: Dataset, mapping: MappingResource) -> DatasetNormaliser:
        entity = catalogue.entities[mapping.spec.entity]
        topic = wire.shared_topic(entity.name)
        schema_id = await self._registry.register(wire.subject(topic), entity.spec.avro)
        output = EntityOutput(
            topic=topic,
            partitions=entity.spec.partitions,
            event_type=f"{entity.name}.v{entity.spec.revision}".encode(),
            revision=mapping.spec.revision,
            key=tuple(dataset.spec.key),
            compile=partial(compile_mapping, mapping, entity, dataset, catalogue.codelists),
            encode=encoder(schema_id, entity.spec.avro),
            program=partial(compile_mapping_program, mapping, entity, dataset, catalogue.codelists, schema_id),
        )
        return DatasetNormaliser(dataset.name, output, self._decoders)

    async def _route(self, catalogue: Catalogue, topic_ids: TopicIds) -> StageWork:
        subscribed = catalogue.subscribed_views()
        outputs = await _side_by_side(partial(self._routed, catalogue, view, topic_ids) for view in subscribed)
        views: dict[str, list[ViewOutput]] = defaultdict(list)
        unrouted = {}
        for view, output in zip(subscribed, outputs, strict=True):
            if isinstance(output, ViewOutput):
                views[view.spec.entity].append(output)
            elif output:
                unrouted[wire.view_topic(view.name, view.spec.revision)] = output
        entities, feeds = {}, _feeds(catalogue)
        for name, found in views.items():
            parts = catalogue.entities[name], found, feeds[name]
            make = partial(self._entity_views, *parts)
            entities[wire.shared_topic(name)] = await self._entities.get(name, parts, make)
        inputs = {wire.shared_topic(name): catalogue.entities[name].spec.partitions for name in views}
        return StageWork(inputs, entities=entities, unrouted=unrouted)

    async def _entity_views(self, entity: Entity, views: Sequence[ViewOutput], feeds: Mapping[str, str]) -> EntityViews:
        types = field_types(entity.spec.avro)
        members = topics.members_of(entity).name
        in_order = entity.spec.nature == "event"
        return EntityViews(views, self._decoders, types, members, in_order=in_order, feeds=feeds)

    async def _routed(self, catalogue: Catalogue, view: View, topic_ids: TopicIds) -> ViewOutput | list[str]:
        """A view as it is routed; or why it is not, and what to do, as the log says too; neither without its topic."""
        topic = wire.view_topic(view.name, view.spec.revision)
        if topic not in topic_ids:
            _log.warning("view not routed: its topic does not exist", topic=topic)
            return []
        entity = catalogue.entities[view.spec.entity]
        try:
            keys = {field: self._pseudonym_keys(name) for field, name in view.spec.pseudonyms.items()}
            make = partial(self._view_output, view, entity, topic_ids[topic], keys)
            return await self._views.get(topic, (view, entity, topic_ids[topic], keys), make)
        except ConfigError as error:
            _log.error("view not routed", topic=topic, error=error.summary, detail=error.detail, fix=error.fix)
            return [error.detail, error.fix]
        except (KeyError, ValueError) as error:  # checked when it was applied; its entity was changed since
            _log.error("view not routed: it does not fit its entity", topic=topic, error=type(error).__name__)
            return ["it does not fit its entity", "mend the view, raise its revision and run bus apply"]

    async def _view_output(self, view: View, entity: Entity, topic_id: str, keys: Mapping[str, bytes]) -> ViewOutput:
        topic = topics.view_of(view, entity)
        if view.spec.filter is not None:
            compile_predicate(view.spec.filter, field_types(entity.spec.avro))
        hides = {field: Pseudonym(key) for field, key in keys.items()}
        schema, project = compile_projection(entity.spec.avro, view, hides)
        schema_id = await self._registry.register(wire.subject(topic.name), schema)
        return ViewOutput(
            topic=topic.name,
            partitions=topic.partitions,
            event_type=f"{entity.name}.v{entity.spec.revision}".encode(),
            revision=view.spec.revision,
            project=project,
            encode=encoder(schema_id, schema),
            filter=view.spec.filter,
            key=compile_key(entity.spec.key, hides),
            id_of=compile_id(topic.name, view, hides),
            topic_id=topic_id,
            program=partial(compile_view_program, view, hides, schema, schema_id),
        )


class _Kept(Generic[T]):
    """What was made, by name, and of what."""

    def __init__(self) -> None:
        self._made: dict[Hashable, tuple[object, T]] = {}
        self._asked: set[Hashable] = set()

    async def get(self, name: Hashable, parts: object, make: Callable[[], Coroutine[None, None, T]]) -> T:
        """What was made under this name of equal parts; made now if it was not."""
        self._asked.add(name)
        before = self._made.get(name)
        if before is not None and before[0] == parts:
            return before[1]
        made = await make()
        self._made[name] = parts, made
        return made

    def forget_unused(self) -> None:
        """What nobody has asked for since the last time is not wanted any more."""
        self._made = {name: each for name, each in self._made.items() if name in self._asked}
        self._asked.clear()


def _feeds(catalogue: Catalogue) -> defaultdict[str, dict[str, str]]:
    """The datasets that feed each entity, by name; see `EntityViews`."""
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for name, dataset in sorted(catalogue.datasets.items()):
        credit_code = catalogue.departments[dataset.spec.department].spec.credit_code
        for mapping in catalogue.mappings_of(name):
            found[mapping.spec.entity].setdefault(f"{credit_code}:{dataset.spec.source.config}", name)
    return found


def view_topics(catalogue: Catalogue) -> set[str]:
    """The topics of all views that somebody subscribes to."""
    return {wire.view_topic(view.name, view.spec.revision) for view in catalogue.subscribed_views()}


def unmappable(catalogue: Catalogue, adapter: str, found: Sequence[SourceDataset]) -> list[Finding]:
    """The mappings that would reject every row of a source, as it is now.

    Args:
        catalogue: what there is.
        adapter: instance whose datasets are looked at.
        found: what its source offers.
    """
    schemas = {each.name: each.schema for each in found}
    findings = []
    for dataset in catalogue.datasets_of(adapter):
        if (row := schemas.get(dataset.spec.source.name)) is None:
            continue
        for mapping in catalogue.mappings_of(dataset.name):
            entity = catalogue.entities[mapping.spec.entity]
            broken = compile_mapping(mapping, entity, dataset, catalogue.codelists, row).broken
            if broken is not None:
                findings.append(
                    Finding(
                        f"mapping {mapping.name} would reject every row: {broken.field}: {broken.reason}",
                        where=dataset.name,
                        fix="mend that field's rule in the mapping, raise its revision and run `bus apply`",
                        severity=Severity.WARNING,
                    )
                )
    return findings


async def _side_by_side(asking: Iterable[Callable[[], Coroutine[None, None, T]]]) -> list[T]:
    """What each gives, in order; the first to fail ends them all."""
    turns = asyncio.Semaphore(SCHEMAS_AT_ONCE)

    async def in_turn(ask: Callable[[], Coroutine[None, None, T]]) -> T:
        async with turns:
            return await ask()

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(in_turn(ask)) for ask in asking]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]
