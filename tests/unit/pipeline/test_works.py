from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from bus.catalogue.actions import PutRecord
from bus.catalogue.catalogue import Catalogue, CatalogueReader
from bus.catalogue.cluster_state import ClusterState
from bus.catalogue.plan import plan
from bus.catalogue.workspace import Workspace, default_workspace
from bus.errors import ConfigError, RegistryUnavailableError
from bus.http_server import HttpServer
from bus.kafka.registry_client import SchemaRegistry
from bus.pipeline.codec import Decoders
from bus.pipeline.works import NORMALISE, ROUTE, SCHEMAS_AT_ONCE, StageWork, StageWorks
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
    return (await StageWorks(registry, Decoders(), lambda _: b"").read(catalogue, topics))[ROUTE]


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
        work = (await StageWorks(registry, Decoders(), no_key).read(whole, topics))[ROUTE]

    hiding = [view for view in whole.subscribed_views() if view.spec.pseudonyms]
    assert hiding
    assert work.unrouted == {
        view_topic(view.name, view.spec.revision): [f"there is no pseudonym key {name!r}", "make one"]
        for view in hiding
        for name in view.spec.pseudonyms.values()
    }
    assert sum(len(entity.views) for entity in work.entities.values()) == len(topics) - len(hiding)


class CountingRegistry:
    """A registry that knows every schema, and counts how often it is asked; some subjects it may fail for."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.fails_for = "nobody's"

    async def register(self, subject: str, _: object) -> int:
        if subject.startswith(self.fails_for):
            raise RegistryUnavailableError("HTTP 500")
        self.asked[subject] += 1
        return self.asked.total()


def everything() -> dict[str, bytes]:
    """What `_bus.catalogue` holds of the default workspace."""
    made = plan(Workspace.load(default_workspace()), ClusterState())
    return {each.key: each.record.encode() for each in made.actions if isinstance(each, PutRecord)}


async def read(works: StageWorks, catalogue: Catalogue, without: str = "") -> dict[str, StageWork]:
    topics = {view_topic(view.name, view.spec.revision): "id" for view in catalogue.subscribed_views()}
    topics.pop(without, None)
    return await works.read(catalogue, topics)


def parts(works: dict[str, StageWork]) -> dict[str, object]:
    """What is compiled: of each raw topic the normalisers, of each shared one the views, of each view what it gets."""
    entities = works[ROUTE].entities
    views = {view.topic: view for entity in entities.values() for view in entity.views}
    return {**works[NORMALISE].normalisers, **entities, **views}


def changed(before: dict[str, StageWork], after: dict[str, StageWork]) -> set[str]:
    """What was compiled anew, or is new or gone."""
    one, other = parts(before), parts(after)
    same = {name for name, each in one.items() if is_same(each, other.get(name))}
    return (one.keys() | other.keys()) - same


def is_same(one: object, other: object) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(each is that for each, that in zip(one, other, strict=True))
    return one is other


def edited(records: Mapping[str, bytes], key: str, old: str, new: str) -> dict[str, bytes]:
    """The records with one text in one of them replaced."""
    text = records[key].decode()
    assert old in text
    return {**records, key: text.replace(old, new).encode()}


PERSON, PORTAL = "shared.population.person", "view.portal-person.v1"


async def test_an_entity_knows_the_sources_of_the_datasets_that_feed_it() -> None:
    works = StageWorks(CountingRegistry(), Decoders(), lambda _: b"secret")  # type: ignore[arg-type]

    entities = (await read(works, CatalogueReader().read(everything())))[ROUTE].entities

    assert entities[PERSON].feeds == {"11320500DEMQ00018C:gongan": "gongan.population"}


async def test_what_a_change_of_the_catalogue_leaves_alone_is_not_compiled_again() -> None:
    registry, reader, records = CountingRegistry(), CatalogueReader(), everything()
    works = StageWorks(registry, Decoders(), lambda _: b"secret")  # type: ignore[arg-type]
    first = await read(works, reader.read(records))
    assert {PERSON, PORTAL} <= parts(first).keys()
    assert set(registry.asked.values()) == {1}

    again = await read(works, reader.read({key: bytes(bytearray(value)) for key, value in records.items()}))
    assert not changed(first, again)

    records = edited(records, "Department/gongan", '"title":"', '"title":"New ')
    assert not changed(first, await read(works, reader.read(records)))
    assert set(registry.asked.values()) == {1}

    without = await read(works, reader.read({key: each for key, each in records.items() if "portal-person" not in key}))
    assert changed(first, without) == {PERSON, PORTAL}

    back = await read(works, reader.read(records))
    assert changed(first, back) == {PERSON, PORTAL}, "what was gone is made anew, and nothing else"
    assert {subject for subject, times in registry.asked.items() if times > 1} == {f"{PORTAL}-value"}


async def test_a_changed_view_mapping_code_list_topic_or_key_is_compiled_again() -> None:
    registry, reader, records = CountingRegistry(), CatalogueReader(), everything()
    secret = b"old"
    works = StageWorks(registry, Decoders(), lambda _: secret)  # type: ignore[arg-type]
    first = await read(works, reader.read(records))

    mapping = next(key for key in records if key.startswith("Mapping/") and b"population.person" in records[key])
    one = await read(works, reader.read(edited(records, mapping, '"revision":', '"revision":1')))
    assert changed(first, one) == {"raw.gongan.population"}

    codelist = next(key for key in records if key.startswith("CodeList/"))
    two = await read(works, reader.read(edited(records, codelist, '"title":"', '"title":"New ')))
    assert changed(one, two) == set(two[NORMALISE].normalisers)

    three = await read(works, reader.read(records), without=PORTAL)
    assert {PERSON, PORTAL} <= changed(two, three), "its topic is gone"
    assert PORTAL not in parts(three)

    four = await read(works, reader.read(records))
    assert changed(three, four) == {PERSON, PORTAL}

    secret = b"new"
    hiding = [view for view in reader.read(records).subscribed_views() if view.spec.pseudonyms]
    five = await read(works, reader.read(records))
    topics = {view_topic(view.name, view.spec.revision) for view in hiding}
    assert changed(four, five) == topics | {shared_topic(view.spec.entity) for view in hiding}


async def test_what_is_ready_is_kept_when_the_registry_fails_for_another() -> None:
    registry, records = CountingRegistry(), everything()
    works = StageWorks(registry, Decoders(), lambda _: b"")  # type: ignore[arg-type]
    registry.fails_for = "view."
    with pytest.raises(RegistryUnavailableError):
        await read(works, CatalogueReader().read(records))
    registry.fails_for = "nobody's"
    await read(works, CatalogueReader().read(records))

    assert set(registry.asked.values()) == {1}


async def test_a_registry_that_fails_for_one_view_is_told_as_itself(catalogue: Catalogue) -> None:
    async with SlowRegistry(refused=VIEWS[3]).open() as registry:
        with pytest.raises(RegistryUnavailableError):
            await works(catalogue, registry, topic_ids(*VIEWS))
