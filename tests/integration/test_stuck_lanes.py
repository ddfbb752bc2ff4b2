"""Lanes that cannot go on, and records that must not keep them from it, on a real Kafka; what operators are told."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from bus import wire
from bus.control.health import BusHealth, Verdict
from bus.kafka import clients, record_batches
from bus.kafka.native import Packed
from bus.kafka.partitions import partition_of
from bus.kafka.probe import free_port
from bus.testing.office import DATASET, ENTITY, VIEW, Office, credit_codes
from bus.testing.topics import read_topic
from tests.property.kafka.batches import sealed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

SHARED = wire.shared_topic(ENTITY)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with Office(tmp_path) as running:
        yield running


def all_routed(count: int) -> Callable[[BusHealth], bool]:
    return lambda health: health.views[0].records >= count and not health.views[0].lag and not health.datasets[0].lag


async def write_to_shared(office: Office, key: str, value: bytes) -> None:
    """Somebody besides the bus does, with a tool of Kafka's own."""
    producer = clients.producer(office.settings.kafka)
    async with clients.started(producer, office.settings.kafka):
        await producer.send_and_wait(SHARED, value, key=key.encode(), partition=partition_of(key.encode(), 8))


async def test_a_foreign_record_on_shared_is_a_dead_letter_and_stops_nobody(office: Office) -> None:
    office.worker()
    office.adapter()
    codes = credit_codes(40)
    await office.register(codes)
    await office.observed(all_routed(40))

    for code in codes[:8]:
        await write_to_shared(office, code, b'{"credit_code": "%s"}' % code.encode())
    await office.register(credit_codes(40, 40))
    health = await office.observed(lambda health: all_routed(80)(health) and len(health.rejects) == 8)

    assert health.ok
    assert {(each.stage, each.rule, each.dataset) for each in health.rejects} == {("route", "undecodable", DATASET)}
    assert {each.where.split("/")[0] for each in health.rejects} == {SHARED}
    newest = {record.key.decode(): record.value for record in await read_topic(office.settings, VIEW)}
    assert all(newest[code] for code in credit_codes(80)), "views keep what they had of a key"
    told = await listed(office)
    assert [(each["state"], each["stage"]) for each in told] == [("at_source", "route")] * 5
    assert "writes to shared besides the bus" in told[0]["to_do"]


async def listed(office: Office) -> list[dict[str, Any]]:
    """The newest rejects, as `bus dlq show` tells them to programs."""
    process = office.processes.start(office.settings, "dlq", "show", "--dataset", DATASET, "--json")
    assert process.wait(30) == 0, process.text()
    return [json.loads(line) for line in process.text().splitlines() if line.startswith("{")]


async def test_a_header_whose_name_is_no_utf8_stops_nobody_not_even_who_looks_on(office: Office) -> None:
    if not record_batches.IS_USABLE:
        pytest.skip("aiokafka is another one, or nothing is compiled")
    office.worker()
    office.adapter()
    await office.register(credit_codes(10))
    await office.observed(all_routed(10))

    await write_strange_header(office, credit_codes(1)[0])
    await office.register(credit_codes(10, 10))
    health = await office.observed(lambda health: all_routed(20)(health) and health.rejects)

    assert (health.ok, [each.stage for each in health.rejects]) == (True, ["route"])
    assert "\ufffd" in json.dumps(await listed(office), ensure_ascii=False)


async def write_strange_header(office: Office, key: str) -> None:
    """Garbage on shared, with a header that no client for Python would write."""

    class Strange:
        """A batch builder that spoils what it has built."""

        def __init__(self, inner: Any) -> None:
            self._inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

        def _build(self) -> bytes:
            return sealed(bytes(self._inner._build()).replace(b"STRANGE", b"\xff\xfe\xfd\xfc\xff\xfe\xfd"))

    producer = clients.producer(office.settings.kafka)
    async with clients.started(producer, office.settings.kafka):
        partition = partition_of(key.encode(), 8)
        packed = Packed(SHARED, partition)
        packed.append(key.encode(), b"garbage", [("STRANGE", b"x")])
        batch = record_batches.builder(producer, 10_000, int(time.time() * 1000))
        batch.extend(packed)
        await (await producer.send_batch(Strange(batch), SHARED, partition=partition))


async def test_a_schema_that_the_registry_lacks_stops_its_lane_which_says_where(office: Office) -> None:
    office.worker()
    await write_to_shared(office, "k", wire.frame(999_999) + b"\x02k")

    health = await office.observed(lambda health: health.workers and not health.workers[0].ok)

    worker, partition = health.workers[0], partition_of(b"k", 8)
    assert (worker.verdict, worker.code) == (Verdict.FAILED, "lane-failed")
    assert f"route: The registry has no such schema: id 999999 ({SHARED}, partition {partition}, " in worker.cause


async def test_a_lane_that_waits_for_the_registry_says_so_until_it_goes_on(office: Office) -> None:
    port = free_port()
    registry = office.processes.start(office.settings, "registry", "--port", str(port))
    own = office.settings.model_copy(update={"registry_url": f"http://127.0.0.1:{port}"})
    office.processes.start(own, "worker")
    await office.observed(lambda health: health.workers and health.workers[0].lanes)
    registry.kill()
    office.adapter()
    await office.register(credit_codes(10))

    health = await office.observed(lambda health: health.workers[0].code == "lane-waiting", within=60)
    worker = health.workers[0]
    assert worker.verdict is Verdict.STALLED
    assert "cannot go on: normalise: The schema registry does not answer: " in worker.cause
    assert str(port) in worker.cause

    office.processes.start(office.settings, "registry", "--port", str(port))
    health = await office.observed(all_routed(10), within=60)
    await office.observed(lambda health: health.workers[0].ok)
