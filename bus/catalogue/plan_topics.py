"""Topics to make, settings to change, offsets to start at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bus.catalogue import topics as wanted_topics
from bus.catalogue.actions import AlterTopic, CreateTopic, DeleteTopic, RenewTopic, SetOffsets
from bus.catalogue.dataset import Dataset
from bus.catalogue.entity import Entity
from bus.catalogue.view import View
from bus.errors import Finding
from bus.wire import raw_topic, shared_topic, view_topic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bus.catalogue.actions import Action
    from bus.catalogue.cluster_state import ClusterState
    from bus.catalogue.model import Resource
    from bus.catalogue.topics import Topic
    from bus.catalogue.wanted import Wanted


def plan_topics(wanted: Wanted, state: ClusterState, lanes: int) -> tuple[list[Action], list[Finding], int]:
    """Actions, refusals, and how many partitions are added."""
    actions: list[Action] = []
    findings: list[Finding] = []
    added = 0
    left = _left(wanted)
    known = {name.replace(".", "_"): name for name in state.topics}
    for topic, where in _all(wanted, lanes).values():
        same = known.get(topic.name.replace(".", "_"))
        if same is not None and same != topic.name:
            findings.append(Finding(f"topic {topic.name} and the cluster's {same} differ only in '.' and '_'", where))
        elif same is None:
            actions.append(CreateTopic(topic))
            added += topic.partitions
        elif same in left:
            actions.append(RenewTopic(topic))
            added += topic.partitions - state.topics[same].partitions
        else:
            actions += _altered(topic, state)
            findings += _repartitioned(topic, state, where)
    offsets, lost = _offsets(wanted, state)
    return [*actions, *offsets], [*findings, *lost], added


def _left(wanted: Wanted) -> set[str]:
    """Topics, if they are there, of views that were applied before and that nobody has subscribed to since."""
    before = {record.resource.key for record in wanted.found.values() if isinstance(record.resource, View)}
    served = wanted.served_before()
    return {
        view_topic(view.name, view.spec.revision)
        for view in wanted.views
        if view.key in before and (view.name, view.spec.revision) not in served
    }


def deleted_topics(wanted: Wanted, state: ClusterState) -> list[DeleteTopic]:
    """Topics of this workspace's views that nobody subscribes to any more.

    Only of views in the catalogue: a view's record goes after its topic, so that a plan cut short is mended.
    """
    views = [record.resource for record in wanted.found.values() if record.managed_by == wanted.workspace.name]
    named = {
        view_topic(view.name, view.spec.revision): view
        for view in views
        if isinstance(view, View) and (view.name, view.spec.revision) not in wanted.live
    }
    there = sorted(named.keys() & state.topics.keys())
    return [DeleteTopic(name, named[name].key, state.topics[name].partitions) for name in there]


def _all(wanted: Wanted, lanes: int) -> dict[str, tuple[Topic, str]]:
    """Name → topic and the place in the workspace that asks for it."""
    return {topic.name: (topic, where) for topic, where in _each(wanted, lanes)}


def _each(wanted: Wanted, lanes: int) -> Iterator[tuple[Topic, str]]:
    workspace = wanted.workspace
    entities = workspace.named(Entity)
    for topic in wanted_topics.bus_topics(lanes):
        yield topic, "BUS_LANES" if topic.name == wanted_topics.LANES_TOPIC else ""
    for dataset in workspace.all(Dataset):
        for topic in wanted_topics.department_topics(dataset.spec.department, lanes):
            yield topic, workspace.where(dataset, "spec", "department")
        for topic in wanted_topics.dataset_topics(dataset):
            yield topic, workspace.where(dataset, "spec", "partitions")
    for entity in entities.values():
        yield wanted_topics.shared(entity), workspace.where(entity, "spec", "partitions")
    for view in wanted.views:
        where = workspace.where(view, "metadata", "name")
        yield wanted_topics.view_of(view, entities[view.spec.entity]), where
        yield wanted_topics.members_of(entities[view.spec.entity]), where


def _altered(topic: Topic, state: ClusterState) -> list[Action]:
    current = state.topics[topic.name].config
    after = {name: value for name, value in topic.config.items() if current.get(name) != value}
    return [AlterTopic(topic.name, {name: current.get(name) for name in after}, after)] if after else []


def _repartitioned(topic: Topic, state: ClusterState, where: str) -> list[Finding]:
    current = state.topics[topic.name].partitions
    if current == topic.partitions:
        return []
    return [
        Finding(
            f"topic {topic.name} has {current} partitions, {topic.partitions} are asked for: "
            "keys are spread by that number, so their order would be lost",
            where,
            f"leave it at {current}, or use a new name",
        )
    ]


def _offsets(wanted: Wanted, state: ClusterState) -> tuple[list[SetOffsets], list[Finding]]:
    """Where the stages start. A stage that has run before and lost its offset is not started over: refused."""
    actions: list[SetOffsets] = []
    findings: list[Finding] = []
    for resource, group, topic, partitions, has_run in _inputs(wanted):
        there = state.topics[topic].partitions if topic in state.topics else partitions
        missing = tuple(number for number in range(there) if (group, topic, number) not in state.committed)
        if not missing:
            continue
        if topic in state.topics and has_run:
            findings.append(
                Finding(
                    f"group {group} has lost its offsets of {topic} ({len(missing)} partitions): "
                    "from the beginning, records would be doubled; from the end, lost",
                    wanted.workspace.where(resource, "metadata", "name"),
                    "set the offsets by hand to where the shared records end",
                )
            )
        else:
            actions.append(SetOffsets(group, topic, missing))
    return actions, findings


def _inputs(wanted: Wanted) -> Iterator[tuple[Resource, str, str, int, bool]]:
    """What each stage reads, and whether it has read it before. Offsets that nobody uses expire, and are set again."""
    normalised, routed = wanted.normalised_before(), wanted.routed_before()
    for dataset in wanted.workspace.all(Dataset):
        topic, has_run = raw_topic(dataset.name), dataset.name in normalised
        yield dataset, wanted_topics.NORMALISE_GROUP, topic, dataset.spec.partitions, has_run
    for entity in wanted.workspace.named(Entity).values():
        topic, has_run = shared_topic(entity.name), entity.name in routed
        yield entity, wanted_topics.ROUTE_GROUP, topic, entity.spec.partitions, has_run
