"""The topics that a catalogue needs, with their settings (design §1 and §7), and the groups that read them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bus.catalogue.duration import milliseconds
from bus.wire import dlq_topic, positions_topic, raw_topic, rejects_topic, shared_topic, view_topic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bus.catalogue.dataset import Dataset
    from bus.catalogue.entity import Entity
    from bus.catalogue.view import View

CATALOGUE_TOPIC: Final = "_bus.catalogue"
LANES_TOPIC: Final = "_bus.lanes"
COMMANDS_TOPIC: Final = "_bus.commands"
HEALTH_TOPIC: Final = "_bus.health"

NORMALISE_GROUP: Final = "_bus.normalise"
ROUTE_GROUP: Final = "_bus.route"

DLQ_RETENTION: Final = "90d"
OFFLINE_TIME: Final = "30d"
"""How long a subscriber may be away and still see every deletion (`delete.retention.ms`)."""

STATE_SEGMENT_BYTES: Final = 16 * 1024 * 1024
"""Of the bus's own state topics: small segments, so that compaction keeps reading them whole short."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it must be.

    Attributes:
        name: its name.
        partitions: fixed once it exists, because keys are spread by it.
        config: Kafka's settings, by Kafka's names.
    """

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)


def _kept(duration: str) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(milliseconds(duration))}


def _state() -> dict[str, str]:
    return {"cleanup.policy": "compact", "segment.bytes": str(STATE_SEGMENT_BYTES)}


def _heartbeats() -> dict[str, str]:
    """The latest of each process; of one that is gone for a day, none."""
    kept = {"cleanup.policy": "compact,delete", "retention.ms": str(milliseconds("1d"))}
    return kept | {"segment.bytes": str(STATE_SEGMENT_BYTES), "segment.ms": str(milliseconds("1h"))}


def _entity_config(entity: Entity) -> dict[str, str]:
    if entity.spec.retention is not None:
        return _kept(entity.spec.retention)
    return {"cleanup.policy": "compact", "delete.retention.ms": str(milliseconds(OFFLINE_TIME))}


def bus_topics(lanes: int) -> list[Topic]:
    """The bus's own topics that every cluster has."""
    return [
        Topic(CATALOGUE_TOPIC, 1, _state()),
        Topic(LANES_TOPIC, lanes, _kept("1d")),
        Topic(COMMANDS_TOPIC, 1, _kept("7d")),
        Topic(HEALTH_TOPIC, 1, _heartbeats()),
    ]


def _rejects() -> dict[str, str]:
    """The latest of each key; nothing for longer than the dead letters that it is about."""
    kept = {"cleanup.policy": "compact,delete", "retention.ms": str(milliseconds(DLQ_RETENTION))}
    return kept | {"segment.bytes": str(STATE_SEGMENT_BYTES)}


def department_topics(department: str, lanes: int) -> list[Topic]:
    """The state topics of a department that publishes; of its rejects, one partition per lane."""
    return [Topic(positions_topic(department), 1, _state()), Topic(rejects_topic(department), lanes, _rejects())]


def dataset_topics(dataset: Dataset) -> list[Topic]:
    """A dataset's raw topic and its dead letters."""
    return [
        Topic(raw_topic(dataset.name), dataset.spec.partitions, _kept(dataset.spec.retention)),
        Topic(dlq_topic(dataset.name), 1, _kept(DLQ_RETENTION)),
    ]


def shared(entity: Entity) -> Topic:
    """An entity's shared topic."""
    return Topic(shared_topic(entity.name), entity.spec.partitions, _entity_config(entity))


def view_of(view: View, entity: Entity) -> Topic:
    """A view's topic: one partition with a filter, four without (as many as divide the entity's)."""
    partitions = 1 if view.spec.filter is not None else _divisor(entity.spec.partitions, 4)
    return Topic(view_topic(view.name, view.spec.revision), partitions, _entity_config(entity))


def members_of(entity: Entity) -> Topic:
    """Which keys are in which filtered views of an entity; co-partitioned with its shared topic."""
    return Topic(f"_bus.members.{entity.name}", entity.spec.partitions, _state())


def _divisor(number: int, wanted: int) -> int:
    """The largest divisor of `number` up to `wanted`: a view's partition is its record's, modulo that."""
    return max(divisor for divisor in range(1, wanted + 1) if number % divisor == 0)
