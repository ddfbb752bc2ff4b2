"""`bus.subscribe`: typed records from the group's cursor on, and a clear word when that cursor cannot be trusted.

What it says when it is refused stands in `test_subscribe_refused.py`.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from bus.config import Settings
from bus.errors import SnapshotRequiredError
from bus.kafka import clients
from bus.kafka.admin import Admin, NewTopic
from bus.kafka.registry_client import SchemaRegistry
from bus.pipeline.codec import encoder
from bus.subscriber import subscribe
from bus.wire import CloudEvent, subject

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bus.config import Connection
    from bus.subscriber import Record, Records

    MakeView = Callable[[int], Awaitable["View"]]

SCHEMA = {"type": "record", "name": "p", "fields": [{"name": "name", "type": "string"}]}
EVENT = CloudEvent("0/1/1", "c.p.v1", "urn:shuniu:t:1:g", "2026-11-22T00:00:00.000000Z")


class View:
    """A view's topic, and what is written to it."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self.settings = settings
        self.topic = topic
        self.group = f"{topic}-group"

    async def write(self, partition: int = 0, /, **people: str | None) -> None:
        async with SchemaRegistry(self.settings.registry_url) as registry:
            encode = encoder(await registry.register(subject(self.topic), SCHEMA), SCHEMA)
        async with clients.started(clients.producer(self.settings.kafka), self.settings.kafka) as producer:
            for key, name in people.items():
                value = None if name is None else encode({"name": name})
                headers = EVENT.headers()
                await producer.send(self.topic, value, key=key.encode(), partition=partition, headers=headers)

    def subscribe(self, **options: Any) -> Records:
        return subscribe(self.topic, self.group, settings=self.settings, **options)

    async def take(self, count: int, *, commit: bool = False, **options: Any) -> list[Record]:
        taken: list[Record] = []
        async with asyncio.timeout(30), self.subscribe(**options) as records:
            async for record in records:
                taken.append(record)
                if commit:
                    await records.commit(record)
                if len(taken) == count:
                    break
        return taken

    async def existing(self) -> list[str]:
        """The keys that a reload hands out, to its end."""
        async with asyncio.timeout(30), self.subscribe(reload=True) as records:
            return [record.key async for record in records.existing()]

    async def commit(self, offset: int, told: str) -> None:
        """A cursor as another client, or this one long ago, left it."""
        consumer = clients.consumer(self.settings.kafka, group_id=self.group)
        async with clients.started(consumer, self.settings.kafka):
            place = clients.TopicPartition(self.topic, 0)
            consumer.assign([place])
            await consumer.commit({place: (offset, told)})


@pytest.fixture
async def make_view(kafka_connection: Connection, registry_url: str, unique: Callable[[str], str]) -> MakeView:
    async def make(partitions: int) -> View:
        topic = unique("view.people.v1")
        await asyncio.to_thread(Admin(kafka_connection).create_topics, [NewTopic(topic, partitions)])
        return View(Settings(kafka=kafka_connection, registry_url=registry_url), topic)

    return make


@pytest.fixture
async def view(make_view: MakeView) -> View:
    return await make_view(1)


@pytest.fixture
async def wide_view(make_view: MakeView) -> View:
    return await make_view(4)


async def test_records_are_typed_and_carry_their_event(view: View) -> None:
    await view.write(a="甲", b="乙")
    await view.write(a=None)

    first, second, third = await view.take(3, reload=True)

    assert (first.key, first.value, first.event) == ("a", {"name": "甲"}, EVENT)
    assert (second.key, second.value) == ("b", {"name": "乙"})
    assert (third.key, third.value, third.offset) == ("a", None, 2)


async def test_it_goes_on_behind_the_last_record_that_was_committed(view: View) -> None:
    await view.write(a="1", b="2", c="3")
    await view.take(2, commit=True, reload=True)

    (third,) = await view.take(1)

    assert third.key == "c"


async def test_what_was_not_committed_comes_again(view: View) -> None:
    await view.existing()
    await view.write(a="1", b="2")

    assert [record.key for record in await view.take(1)] == ["a"]
    assert [record.key for record in await view.take(2)] == ["a", "b"]


async def test_a_group_without_a_cursor_must_take_a_snapshot(view: View) -> None:
    await view.write(a="1")

    with pytest.raises(SnapshotRequiredError) as required:
        await view.take(1)

    assert "reload=True" in required.value.fix
    assert required.value.where == view.topic


async def test_a_cursor_that_is_too_old_must_take_a_snapshot(view: View) -> None:
    await view.write(a="1", b="2")
    await view.commit(1, f"{time.time() - 31 * 86_400:.0f}")

    with pytest.raises(SnapshotRequiredError, match="too old"):
        await view.take(1)


@pytest.mark.parametrize("told", ["", "another client's words"])
async def test_a_cursor_of_unknown_age_must_take_a_snapshot(view: View, told: str) -> None:
    await view.write(a="1", b="2")
    await view.commit(1, told)

    with pytest.raises(SnapshotRequiredError, match="too old"):
        await view.take(1)


async def test_the_promised_offline_time_can_be_another(view: View) -> None:
    await view.write(a="1", b="2")
    await view.commit(1, f"{time.time() - 31 * 86_400:.0f}")

    (second,) = await view.take(1, offline_seconds=40 * 86_400)

    assert second.key == "b"


async def test_reloading_begins_at_the_first_record_and_tells_when_it_has_caught_up(view: View) -> None:
    await view.write(a="1", b="2")
    await view.take(2, commit=True, reload=True)

    keys = []
    async with asyncio.timeout(30), view.subscribe(reload=True) as records:
        assert not await records.caught_up()
        async for record in records:
            keys.append(record.key)
            if len(keys) == 2:
                break
        assert await records.caught_up()

    assert keys == ["a", "b"]


async def test_reloading_an_empty_topic_ends(wide_view: View) -> None:
    assert await wide_view.existing() == []


async def test_reloading_hands_out_everything_and_the_next_start_goes_on_from_there(wide_view: View) -> None:
    people = {f"person-{number:04}": "甲" for number in range(1_200)}
    await wide_view.write(1, **people)

    assert await wide_view.existing() == list(people)

    await wide_view.write(3, newest="the first in a partition that was empty")
    (newest,) = await wide_view.take(1)
    assert newest.key == "newest"
