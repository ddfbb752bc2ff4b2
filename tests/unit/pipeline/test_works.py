from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from bus.catalogue.actions import PutRecord
from bus.catalogue.catalogue import Catalogue
from bus.catalogue.cluster_state import ClusterState
from bus.catalogue.plan import plan
from bus.catalogue.workspace import Workspace, default_workspace
from bus.errors import ConfigError, RegistryUnavailableError
from bus.http_server import HttpServer
from bus.kafka.registry_client import SchemaRegistry
from bus.pipeline.codec import Decoders
from bus.pipeline.works import ROUTE, SCHEMAS_AT_ONCE, StageWork, stage_works
from bus.testing.workspaces import population_resources
from bus.wire import shared_topic, view_topic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.requests import Request

VIEWS = [f"view-{number:03}" for number in range(2 * SCHEMAS_AT_ONCE)]


class SlowRegistry:
    """A registry that answers only when as many ask as may ask at once, and refuses one subject."""

    def __init__(self, refused: str = "nobody's") -> None:
        self._refused = refused
        self.all_here = asyncio.Barrier(SCHEMAS_AT_ONCE)
        self._inside = 0
        self.most_at_once = 0

    async def register(self, request: Request) -> JSONResponse:
        if self._refused in request.url.path:
            return JSONResponse({}, 500)
        self._inside += 1
        self.most_at_once = max(self.most_at_once, self._inside)
        await self.all_here.wait()
        self._inside -= 1
        return JSONResponse({"id": 1})

    @asynccontextmanager
    async def open(self) -> AsyncIterator[SchemaRegistry]:
        routes = [Route("/subjects/{subject}/versions", self.register, methods=["POST"])]
        server = HttpServer(Starlette(routes=routes), "127.0.0.1", 0, grace=0)
        server.bind()
        await server.serve("slow registry")
        async with SchemaRegistry(server.url) as registry:
            yield registry
        await server.stop()


@pytest.fixture
def catalogue() -> Catalogue:
    """Views of one entity that somebody subscribes to; no mappings."""
    made = plan(population_resources(), ClusterState())
    records = {each.key: each.record.encode() for each in made.actions if isinstance(each, PutRecord)}
    found = {key: value for key, value in records.items() if not key.startswith(("Mapping/", "View/", "Subscription/"))}
    for name in VIEWS:
        for key in ("View/portal-person/1", "Subscription/portal-person"):
            value = records[key].replace(b"portal-person", name.encode())
            found[key.replace("portal-person", name)] = value
    return Catalogue.from_records(found)


async def works(catalogue: Catalogue, registry: SchemaRegistry, topics: Mapping[str, str]) -> StageWork:
    return (await stage_works(catalogue, registry, Decoders(), topics, lambda _: b""))[ROUTE]


def topic_ids(*views: str) -> dict[str, str]:
    return {view_topic(name, 1): name for name in views}


async def test_the_schemas_of_views_are_asked_for_side_by_side_and_the_views_stay_in_order(
    catalogue: Catalogue,
) -> None:
    slow = SlowRegistry()
    async with slow.open() as registry:
        work = await works(catalogue, registry, topic_ids(*VIEWS))

    assert slow.most_at_once == SCHEMAS_AT_ONCE
    assert [view.topic for view in work.entities[shared_topic("population.person")].views] == sorted(topic_ids(*VIEWS))


async def test_a_view_whose_topic_is_not_there_takes_no_other_with_it(catalogue: Catalogue) -> None:
    there = VIEWS[:SCHEMAS_AT_ONCE]
    async with SlowRegistry().open() as registry:
        work = await works(catalogue, registry, topic_ids(*there))

    assert len(work.entities[shared_topic("population.person")].views) == len(there)


async def test_a_view_without_its_pseudonym_key_is_told_with_what_to_do_and_takes_no_other_with_it() -> None:
    made = plan(Workspace.load(default_workspace()), ClusterState())
    records = {each.key: each.record.encode() for each in made.actions if isinstance(each, PutRecord)}
    whole = Catalogue.from_records({key: each for key, each in records.items() if not key.startswith("Mapping/")})
    topics = {view_topic(view.name, view.spec.revision): view.name for view in whole.subscribed_views()}

    def no_key(name: str) -> bytes:
        raise ConfigError(f"there is no pseudonym key {name!r}", fix="make one")

    slow = SlowRegistry()
    slow.all_here = asyncio.Barrier(1)
    async with slow.open() as registry:
        work = (await stage_works(whole, registry, Decoders(), topics, no_key))[ROUTE]

    hiding = [view for view in whole.subscribed_views() if view.spec.pseudonyms]
    assert hiding
    assert work.unrouted == {
        view_topic(view.name, view.spec.revision): [f"there is no pseudonym key {name!r}", "make one"]
        for view in hiding
        for name in view.spec.pseudonyms.values()
    }
    assert sum(len(entity.views) for entity in work.entities.values()) == len(topics) - len(hiding)


async def test_a_registry_that_fails_for_one_view_is_told_as_itself(catalogue: Catalogue) -> None:
    async with SlowRegistry(refused=VIEWS[3]).open() as registry:
        with pytest.raises(RegistryUnavailableError):
            await works(catalogue, registry, topic_ids(*VIEWS))
