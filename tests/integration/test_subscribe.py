"""`bus.subscribe` against a real Kafka: the first start, the way on from it, and a cursor that is lost or too old."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

import bus
from bus import wire
from bus.config import Settings
from bus.errors import SnapshotRequiredError
from bus.kafka import clients
from bus.kafka.admin import Admin, NewTopic
from bus.kafka.registry_client import SchemaRegistry
from bus.pipeline.codec import encoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bus.config import Connection

SCHEMA = {"type": "record", "name": "company", "fields": [{"name": "name", "type": "string"}]}
EVENT = wire.CloudEvent("1", "enterprise.company.v1", "urn:shuniu:test:x:y", "2026-03-01T00:00:00Z")


class View:
    """A view's topic of four partitions, and who writes to it."""

    def __init__(self, topic: str, settings: Settings) -> None:
        self.topic = topic
        self.settings = settings

    async def write(self, partition: int, names: Iterable[str]) -> None:
        async with SchemaRegistry(self.settings.registry_url) as registry:
            encode = encoder(await registry.register(wire.subject(self.topic), SCHEMA), SCHEMA)
        producer = clients.producer(self.settings.kafka)
        async with clients.started(producer, self.settings.kafka):
            for name in names:
                value = encode({"name": name})
                await producer.send(self.topic, value, key=name.encode(), partition=partition, headers=EVENT.headers())

    async def existing(self, group: str) -> list[str]:
        async with bus.subscribe(self.topic, group, settings=self.settings, reload=True) as records:
            return [record.key async for record in records.existing()]

    async def first(self, group: str, *, offline_seconds: float = 86_400) -> str:
        subscribed = bus.subscribe(self.topic, group, settings=self.settings, offline_seconds=offline_seconds)
        async with subscribed as records:
            async for record in records:
                return str(record.key)
        raise AssertionError


@pytest.fixture
def view(kafka_connection: Connection, registry_url: str, unique: Callable[[str], str]) -> View:
    topic = f"view.{unique('company')}.v1"
    Admin(kafka_connection).create_topics([NewTopic(topic, 4)])
    return View(topic, Settings(kafka=kafka_connection, registry_url=registry_url))


async def test_a_first_start_without_reload_is_told_to_reload(view: View) -> None:
    with pytest.raises(SnapshotRequiredError, match="reload=True"):
        await view.first("portal")


async def test_reloading_an_empty_topic_ends(view: View) -> None:
    assert await view.existing("portal") == []


async def test_reloading_hands_out_everything_and_the_next_start_goes_on_from_there(view: View) -> None:
    names = [f"company-{number:04}" for number in range(1_200)]
    await view.write(1, names)
    assert await view.existing("portal") == names
    await view.write(3, ["a new one, in a partition that was empty"])
    assert await view.first("portal") == "a new one, in a partition that was empty"


async def test_what_was_not_committed_comes_again(view: View) -> None:
    await view.existing("portal")
    await view.write(0, ["first", "second"])
    assert await view.first("portal") == "first"
    assert await view.first("portal") == "first"
    async with bus.subscribe(view.topic, "portal", settings=view.settings) as records:
        async for record in records:
            await records.commit(record)
            break
    assert await view.first("portal") == "second"


async def test_a_cursor_older_than_the_promised_offline_time_is_refused(view: View) -> None:
    await view.write(0, ["one"])
    await view.existing("portal")
    with pytest.raises(SnapshotRequiredError, match="too old"):
        await view.first("portal", offline_seconds=-2)


async def test_an_event_tells_when_it_was_committed_at_the_source(view: View) -> None:
    await view.write(0, ["one"])
    async with bus.subscribe(view.topic, "portal", settings=view.settings, reload=True) as records:
        async for record in records.existing():
            assert record.value == {"name": "one"}
            assert dt.datetime.fromisoformat(record.event.time).year == 2026
