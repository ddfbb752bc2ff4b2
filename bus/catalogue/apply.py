"""Looks at a cluster, and does what a plan says.

The order makes it safe to be killed anywhere: first the rights to take away; then topics, starting offsets, schemas,
and the catalogue in one transaction; then the logins and rights to give. Workers see a resource only by its catalogue
record, so nothing runs before all that it needs is there; and a plan made again finds what is missing. A topic is
deleted when the catalogue no longer names it and workers have heard of that; the record of its view goes last.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bus.catalogue import clock
from bus.catalogue.actions import (
    AllowAcls,
    AlterTopic,
    CreateTopic,
    CreateUser,
    DeleteRecord,
    DeleteTopic,
    DeleteUser,
    PutRecord,
    RegisterSchema,
    RenewTopic,
    SetCompatibility,
    SetOffsets,
    WithdrawAcls,
)
from bus.catalogue.cluster_state import ClusterState, SubjectState
from bus.catalogue.dataset import Dataset
from bus.catalogue.entity import Entity
from bus.catalogue.golden import with_golden_warnings
from bus.catalogue.plan import Limits, plan
from bus.catalogue.registry_reader import RegistryReader
from bus.catalogue.topics import CATALOGUE_TOPIC, NORMALISE_GROUP, ROUTE_GROUP
from bus.catalogue.view import View
from bus.catalogue.workspace import Workspace, default_workspace
from bus.credentials import Credentials
from bus.errors import BusError, PlanRefusedError
from bus.kafka.admin import Admin, NewTopic
from bus.kafka.compacted import CompactedTopic
from bus.kafka.principals import Principals, checks_acls
from bus.wire import raw_topic, shared_topic, subject, view_topic

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Mapping
    from pathlib import Path

    from bus.catalogue.plan import Plan
    from bus.config import Connection, Settings
    from bus.kafka.admin import TopicState

WRITER: Final = "_bus.catalogue.writer"
"""Transactional id of whoever writes the catalogue: a second writer fences the first."""

REQUESTS_AT_ONCE: Final = 16
"""Requests to the registry under way at once."""

WORKERS_HEAR_SECONDS: Final = 3.0
"""After that workers have read of a change in the catalogue. One that has not survives it: its lanes open again."""

ActionT = TypeVar("ActionT")


class StaleCatalogueError(BusError):
    """The catalogue changed after the plan was made; nothing was written to it."""


async def read_state(settings: Settings, workspace: Workspace) -> ClusterState:
    """What the cluster and its registry have now, as far as the workspace concerns them.

    All at once where it can be: a subscription that was withdrawn is in force until this has been read.

    Raises:
        BrokerUnavailableError: the cluster does not answer.
        RegistryUnavailableError: the registry does not answer.
    """
    admin = Admin(settings.kafka)
    topics = await asyncio.to_thread(admin.topics)
    subjects, records, normalised, routed, principals = await asyncio.gather(
        _registered(settings.registry_url, workspace),
        _records(settings.kafka, topics),
        _committed(admin, NORMALISE_GROUP),
        _committed(admin, ROUTE_GROUP),
        _principals(settings),
    )
    return replace(principals, topics=topics, subjects=subjects, records=records, committed=normalised | routed)


async def _principals(settings: Settings) -> ClusterState:
    state = ClusterState(today=clock.now().date())
    if not await checks_acls(settings.kafka):
        return state
    principals = Principals(settings.kafka)
    return replace(
        state,
        authorizer=True,
        acls=await asyncio.to_thread(principals.acls),
        users=await asyncio.to_thread(principals.users),
        logins=Credentials(settings.data_dir).names(),
        login=settings.kafka.username,
    )


async def _committed(admin: Admin, group: str) -> frozenset[tuple[str, str, int]]:
    return frozenset((group, *place) for place in await asyncio.to_thread(admin.committed, group))


async def _registered(url: str, workspace: Workspace) -> dict[str, SubjectState]:
    async with RegistryReader(url) as registry:
        return await registry.subjects(_subjects(workspace))


async def _records(connection: Connection, topics: Mapping[str, TopicState]) -> dict[str, bytes]:
    if CATALOGUE_TOPIC not in topics:
        return {}
    async with CompactedTopic(connection, CATALOGUE_TOPIC) as catalogue:
        return dict(catalogue.items)


def _subjects(workspace: Workspace) -> Iterator[str]:
    yield from (subject(raw_topic(dataset.name)) for dataset in workspace.all(Dataset))
    yield from (subject(shared_topic(entity.name)) for entity in workspace.named(Entity).values())
    yield from (subject(view_topic(view.name, view.spec.revision)) for view in workspace.all(View))


async def apply_workspace(folder: Path | None, settings: Settings) -> Plan:
    """Make the cluster what a workspace says, the packaged one if none is named; what was done.

    Raises:
        WorkspaceError: the workspace has errors.
        BusError: as `read_state` and `apply_plan`.
    """
    return await apply_loaded(with_golden_warnings(Workspace.load(folder or default_workspace())), settings)


async def apply_loaded(workspace: Workspace, settings: Settings) -> Plan:
    """Make the cluster what a workspace that is loaded says; what was done.

    Raises:
        BusError: as `read_state` and `apply_plan`.
    """
    made = plan(workspace, await read_state(settings, workspace), Limits.of(settings))
    await apply_plan(made, settings)
    return made


async def apply_plan(plan: Plan, settings: Settings) -> None:
    """Do everything that the plan says; a plan without actions touches nothing.

    Raises:
        PlanRefusedError: the plan has refusals; nothing was changed.
        StaleCatalogueError: somebody else changed the catalogue meanwhile.
        BrokerUnavailableError: the cluster does not answer; apply again when it does.
        RegistryUnavailableError: likewise the registry.
        FencedError: another apply runs at the same time and won.
    """
    if plan.refusals:
        raise PlanRefusedError(plan.findings)
    if not plan.actions:
        return
    admin = Admin(settings.kafka)
    await asyncio.to_thread(_take, plan, settings)
    await asyncio.to_thread(_topics, plan, admin)
    async with RegistryReader(settings.registry_url) as registry:
        await _schemas(plan, registry)
    topics = _of(plan, DeleteTopic)
    last = [action for action in _of(plan, DeleteRecord) if action.key in {topic.view for topic in topics}]
    removed = [action for action in _of(plan, DeleteRecord) if action not in last]
    await _catalogue(_of(plan, PutRecord), removed, settings.kafka)
    await asyncio.to_thread(_give, plan, settings)
    if topics:
        await asyncio.sleep(WORKERS_HEAR_SECONDS)
        await asyncio.to_thread(admin.delete_topics, [topic.name for topic in topics])
    await _catalogue([], last, settings.kafka)


def _of(plan: Plan, kind: type[ActionT]) -> list[ActionT]:
    return [action for action in plan.actions if isinstance(action, kind)]


def _take(plan: Plan, settings: Settings) -> None:
    """Rights, then logins, then their files: a record that names the principal is still there if this is cut short."""
    principals, credentials = Principals(settings.kafka), Credentials(settings.data_dir)
    principals.withdraw([acl for action in _of(plan, WithdrawAcls) for acl in action.acls])
    for gone in _of(plan, DeleteUser):
        principals.delete_user(gone.name)
        credentials.delete(gone.name)


def _give(plan: Plan, settings: Settings) -> None:
    """Each login's file before the login: a password that is nowhere else must not be lost."""
    principals, credentials = Principals(settings.kafka), Credentials(settings.data_dir)
    for new in _of(plan, CreateUser):
        principals.put_user(new.name, credentials.create(new.name, settings))
    principals.allow([acl for action in _of(plan, AllowAcls) for acl in action.acls])


def _topics(plan: Plan, admin: Admin) -> None:
    renewed = [action.topic for action in _of(plan, RenewTopic)]
    admin.delete_topics([topic.name for topic in renewed])
    topics = [action.topic for action in _of(plan, CreateTopic)] + renewed
    admin.create_topics([NewTopic(topic.name, topic.partitions, topic.config) for topic in topics])
    for change in _of(plan, AlterTopic):
        admin.alter_topic_config(change.name, change.after)
    offsets: dict[str, dict[tuple[str, int], int]] = {}
    for start in _of(plan, SetOffsets):
        offsets.setdefault(start.group, {}).update({(start.topic, number): 0 for number in start.partitions})
    for group, positions in offsets.items():
        admin.set_committed(group, positions)


async def _schemas(plan: Plan, registry: RegistryReader) -> None:
    await _in_parallel(
        [registry.set_compatibility(level.subject, level.level) for level in _of(plan, SetCompatibility)]
    )
    await _in_parallel([registry.register(schema.subject, schema.schema) for schema in _of(plan, RegisterSchema)])


async def _in_parallel(requests: list[Coroutine[Any, Any, Any]]) -> None:
    """All of them, a few at a time; the first failure ends it."""
    places = asyncio.Semaphore(REQUESTS_AT_ONCE)

    async def one(request: Coroutine[Any, Any, Any]) -> None:
        async with places:
            await request

    await asyncio.gather(*(one(request) for request in requests))


async def _catalogue(puts: list[PutRecord], deletions: list[DeleteRecord], connection: Connection) -> None:
    if not puts and not deletions:
        return
    async with CompactedTopic(connection, CATALOGUE_TOPIC, writer=WRITER) as catalogue:
        expected = {action.key: action.before for action in puts} | {action.key: action.before for action in deletions}
        stale = [key for key, before in expected.items() if catalogue.items.get(key) != before]
        if stale:
            raise StaleCatalogueError(", ".join(stale), where=CATALOGUE_TOPIC, fix="plan again, and apply that")
        written = {action.key: action.record.encode() for action in puts}
        await catalogue.put({**written, **{action.key: None for action in deletions}})
