"""Names of topics that Kafka takes, and no two that its metrics cannot tell apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bus.catalogue.dataset import Dataset
from bus.catalogue.entity import Entity
from bus.catalogue.view import View
from bus.errors import Finding
from bus.wire import dlq_topic, raw_topic, shared_topic, topic_name_faults, view_topic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bus.catalogue.model import Resource
    from bus.catalogue.workspace import Workspace


def _names(workspace: Workspace) -> Iterator[tuple[Resource, str]]:
    for dataset in workspace.all(Dataset):
        yield dataset, raw_topic(dataset.name)
        yield dataset, dlq_topic(dataset.name)
    for entity in workspace.all(Entity):
        yield entity, shared_topic(entity.name)
    for view in workspace.all(View):
        yield view, view_topic(view.name, view.spec.revision)


def check(workspace: Workspace) -> Iterator[Finding]:
    """Names that are too long, and names that differ only in '.' and '_'."""
    seen: dict[str, tuple[Resource, str]] = {}
    for resource, topic in _names(workspace):
        where = workspace.where(resource, "metadata", "name")
        if fault := topic_name_faults(topic):
            yield Finding(f"topic name {topic[:60]}… {fault}", where, "choose a shorter name")
        first = seen.setdefault(topic.replace(".", "_"), (resource, topic))
        if first[1] != topic:
            yield Finding(
                f"topics {topic} and {first[1]} differ only in '.' and '_'",
                where,
                f"rename one of them; the other is at {workspace.where(first[0], 'metadata', 'name')}",
            )
