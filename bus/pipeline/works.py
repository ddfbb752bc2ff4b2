"""From the catalogue to what the lanes do: the stages, compiled, and their input topics."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from bus import wire
from bus.catalogue import topics
from bus.pipeline.codec import encoder
from bus.pipeline.lanes import share
from bus.pipeline.loop import Work
from bus.pipeline.mapping.compiled import compile_mapping
from bus.pipeline.mapping.mask import compile_projection
from bus.pipeline.normalise import DatasetNormaliser, EntityOutput, Normalise
from bus.pipeline.route import EntityRouter, Route, ViewOutput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bus.catalogue.catalogue import Catalogue
    from bus.catalogue.dataset import Dataset
    from bus.catalogue.mapping import Mapping as MappingResource
    from bus.catalogue.view import View
    from bus.kafka.registry_client import SchemaRegistry
    from bus.pipeline.codec import Decoders
    from bus.pipeline.record import Stage

_log = structlog.get_logger()

NORMALISE: Final = "normalise"
ROUTE: Final = "route"
GROUPS: Final = {NORMALISE: topics.NORMALISE_GROUP, ROUTE: topics.ROUTE_GROUP}
"""The stages, and the consumer groups that hold their offsets."""


@dataclass(frozen=True, slots=True)
class StageWork:
    """A stage as of one state of the catalogue; `topics` are its inputs with their numbers of partitions."""

    stage: Stage
    topics: Mapping[str, int]

    def of_lane(self, lane: int, lanes: int) -> Work:
        """The part of one lane."""
        return Work(share(self.topics, lane, lanes), self.stage)


async def stage_works(catalogue: Catalogue, registry: SchemaRegistry, decoders: Decoders) -> dict[str, StageWork]:
    """The work of each stage.

    Raises:
        RegistryUnavailableError: the ids of the output schemas cannot be had.
    """
    return {
        NORMALISE: await _normalise(catalogue, registry, decoders),
        ROUTE: await _route(catalogue, registry, decoders),
    }


async def _normalise(catalogue: Catalogue, registry: SchemaRegistry, decoders: Decoders) -> StageWork:
    normalisers = {}
    inputs = {}
    for dataset in catalogue.datasets.values():
        mappings = catalogue.mappings_of(dataset.name)
        if not mappings:
            continue
        outputs = [await _entity_output(catalogue, dataset, mapping, registry) for mapping in mappings]
        topic = wire.raw_topic(dataset.name)
        normalisers[topic] = [DatasetNormaliser(dataset.name, output, decoders) for output in outputs]
        inputs[topic] = dataset.spec.partitions
    return StageWork(Normalise(normalisers), inputs)


async def _entity_output(
    catalogue: Catalogue, dataset: Dataset, mapping: MappingResource, registry: SchemaRegistry
) -> EntityOutput:
    entity = catalogue.entities[mapping.spec.entity]
    topic = wire.shared_topic(entity.name)
    schema_id = await registry.register(wire.subject(topic), entity.spec.avro)
    return EntityOutput(
        topic=topic,
        partitions=entity.spec.partitions,
        event_type=f"{entity.name}.v{entity.spec.revision}".encode(),
        revision=mapping.spec.revision,
        key_fields=len(dataset.spec.key),
        compile=partial(compile_mapping, mapping, entity, dataset, catalogue.codelists),
        encode=encoder(schema_id, entity.spec.avro),
    )


async def _route(catalogue: Catalogue, registry: SchemaRegistry, decoders: Decoders) -> StageWork:
    views: dict[str, list[ViewOutput]] = defaultdict(list)
    for view in catalogue.subscribed_views():
        if view.spec.filter is not None:  # `plan` refuses it; should it get here all the same, nobody is sent all rows
            _log.error("view not routed: row filters are not applied yet", view=view.name)
            continue
        views[view.spec.entity].append(await _view_output(catalogue, view, registry))
    routers = {wire.shared_topic(name): EntityRouter(found, decoders) for name, found in views.items()}
    inputs = {wire.shared_topic(name): catalogue.entities[name].spec.partitions for name in views}
    return StageWork(Route(routers), inputs)


async def _view_output(catalogue: Catalogue, view: View, registry: SchemaRegistry) -> ViewOutput:
    entity = catalogue.entities[view.spec.entity]
    topic = topics.view_of(view, entity)
    schema, project = compile_projection(entity.spec.avro, view)
    schema_id = await registry.register(wire.subject(topic.name), schema)
    return ViewOutput(
        topic=topic.name,
        partitions=topic.partitions,
        event_type=f"{entity.name}.v{entity.spec.revision}".encode(),
        revision=view.spec.revision,
        project=project,
        encode=encoder(schema_id, schema),
    )
