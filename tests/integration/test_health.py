"""What operators are told, on a real Kafka with real processes that are killed."""

from __future__ import annotations

import datetime as dt
import json
import re
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from confluent_kafka.admin import AdminClient

from bus import subscribe, wire
from bus.control.health import BusHealth, Verdict
from bus.kafka import clients
from bus.kafka.partitions import partition_of
from bus.kafka.registry_client import SchemaRegistry
from bus.pipeline.codec import encoder
from bus.pipeline.heartbeat import HEARTBEAT_SECONDS
from bus.testing.office import DATASET, ENTITY, VIEW, Office, credit_codes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with Office(tmp_path) as running:
        yield running


def all_there(count: int) -> Callable[[BusHealth], bool]:
    return lambda health: health.ok and health.views[0].records >= count


async def test_a_quiet_source_is_well_and_a_killed_adapter_is_named(office: Office) -> None:
    office.worker()
    adapter = office.adapter()
    await office.register(credit_codes(20))
    await office.register(["no credit code"])
    health = await office.observed(
        lambda health: health.ok and health.datasets[0].open_rejects and health.views[0].records
    )
    assert health.rejects[0].rule == "gb32100"
    assert "no credit code" not in json.dumps(health.as_json())

    heard = health.adapters[0].heard or 0.0
    health = await office.observed(lambda health: (health.adapters[0].heard or 0.0) > heard + 2 * HEARTBEAT_SECONDS)
    assert health.ok, "nothing has changed at the source for ten seconds: that is no fault"
    dataset, view = health.datasets[0], health.views[0]
    assert (dataset.lag, dataset.rate, view.lag) == (0, 0.0, 0)
    assert (dataset.freshness_seconds or 99) < 2 * HEARTBEAT_SECONDS
    assert (await office.status("--once"))[0] == 0

    adapter.kill()
    health = await office.observed(lambda health: not health.ok, within=60)
    assert [part.code for part in (health, health.adapters[0], health.datasets[0])] == ["adapter-silent"] * 3
    assert health.verdict is Verdict.STALLED
    assert "adapter scjg is dead or cut off: not heard of for 2" in health.cause
    assert f"process {adapter.pid}" in health.cause
    assert health.action.endswith("start it again: bus adapter run scjg --config FILE")
    assert health.views[0].ok, "it is as fresh as promised, still"
    code, text = await office.status("--once")
    assert code == 1
    assert "adapter scjg is dead or cut off" in text
    assert "→" in text

    adapter = office.adapter()
    await office.observed(lambda health: health.ok)
    assert adapter.end() == 0
    health = await office.observed(lambda health: not health.ok)
    assert health.code == "adapter-stopped", "one that ended in order says so at once"


async def test_a_backlog_that_nobody_takes_is_stalled_until_a_worker_comes(office: Office) -> None:
    office.adapter()
    worker = office.worker()
    await office.register(credit_codes(10))
    await office.observed(all_there(10))

    worker.kill()
    await office.register(credit_codes(30, 10))
    health = await office.observed(lambda health: health.datasets[0].verdict is Verdict.STALLED, within=60)
    dataset = health.datasets[0]
    assert dataset.code in {"no-progress", "no-worker"}
    assert dataset.lag == 30, "marks of transactions are no records"
    assert (dataset.waiting_seconds or 0) >= 10
    health = await office.observed(lambda health: health.datasets[0].code == "no-worker", within=60)
    assert health.workers[0].pid == worker.pid
    assert health.workers[0].code == "worker-silent"
    assert health.datasets[0].action == "start one: bus worker"

    office.worker()
    health = await office.observed(all_there(40))
    assert (health.views[0].lag, health.datasets[0].freshness_seconds is not None) == (0, True)


async def test_a_lost_offset_is_a_failure(office: Office) -> None:
    admin = AdminClient({"bootstrap.servers": office.settings.kafka.bootstrap})
    for future in admin.delete_consumer_groups(["_bus.normalise"]).values():
        future.result(10)

    health = await office.observed(lambda health: health.datasets[0].code == "offset-missing")

    assert health.datasets[0].verdict is Verdict.FAILED
    assert (
        "group _bus.normalise has no valid offset on raw.scjg.companies, partition 0, 1, 2, 3"
        in health.datasets[0].cause
    )
    office.worker()
    health = await office.observed(lambda health: health.workers and health.workers[0].code == "lane-failed")
    assert health.workers[0].verdict is Verdict.FAILED


async def test_a_subscribers_group_is_seen_with_what_it_has_not_taken(office: Office) -> None:
    office.adapter()
    office.worker()
    await office.register(credit_codes(12))
    await office.observed(all_there(12))
    async with subscribe(VIEW, group="portal", settings=office.settings, reload=True) as records:
        taken = [record async for record in records.existing()]
        assert len(taken) == 12
    await office.register(credit_codes(5, 12))

    health = await office.observed(lambda health: health.subscribers[0].subscriptions[0].lag == 5)

    assert health.subscribers[0].subscriptions[0].group == "portal"

    # An onlooker who comes later has seen nothing of how long it stands still, and must say the same.
    await office.observed(lambda health: health.subscribers[0].code == "subscriber-silent")
    code, text = await office.status("--json")
    told = json.loads(text)
    assert (code, told["verdict"], told["code"], told["undecided"]) == (1, "STALLED", "subscriber-silent", False)
    assert "5 records wait for group portal, the oldest for" in told["cause"]

    # Once its subscription has ended, nobody need ask why it takes nothing.
    file = office.workspace / "portal" / "portal.yaml"
    file.write_text(re.sub("valid_until: .*", "valid_until: 2026-01-31", file.read_text("utf-8")), "utf-8")
    await office.apply()
    health = await office.observed(lambda health: health.subscribers[0].code == "subscription-ended")
    assert health.subscribers[0].ok


async def test_a_view_that_is_being_filled_says_how_far(office: Office) -> None:
    await publish(office, 40_000)
    second = (office.workspace / "portal" / "portal.yaml").read_text("utf-8").replace("portal-company", "later")
    kinds = [part for part in second.split("---\n") if "kind: Subscriber\n" not in part]
    (office.workspace / "portal" / "later.yaml").write_text("---\n".join(kinds), "utf-8")
    worker = office.worker()
    await office.observed(lambda health: health.views[0].lag == 0 and health.workers, within=60)
    await office.apply()

    health = await office.observed(lambda health: any(view.filled < 1 for view in health.views))

    filling = next(view for view in health.views if view.filled < 1)
    assert (filling.topic, filling.verdict, filling.code) == ("view.later.v1", Verdict.OK, "filling")
    await office.observed(lambda health: len(health.views) == 2 and all(view.filled == 1 for view in health.views))
    assert worker.is_running


async def publish(office: Office, count: int) -> None:
    """Companies on shared, as if they had been normalised."""
    schema = json.loads((office.workspace / "companies" / "company.avsc").read_text("utf-8"))
    topic = wire.shared_topic(ENTITY)
    async with SchemaRegistry(office.settings.registry_url) as registry:
        encode = encoder(await registry.register(wire.subject(topic), schema), schema)
    value = {
        "credit_code": "",
        "full_name": "公司",
        "founded": None,
        "status": "1",
        "updated_at": dt.datetime.now(dt.UTC),
    }
    headers = wire.CloudEvent("0/1/1/m1", f"{ENTITY}.v1", "urn:shuniu:t:x:y", "2026-03-01T00:00:00Z").headers()
    producer = clients.producer(office.settings.kafka, linger_ms=5)
    async with clients.started(producer, office.settings.kafka):
        for code in credit_codes(count):
            key = code.encode()
            record = encode(value | {"credit_code": code})
            await producer.send(topic, record, key=key, partition=partition_of(key, 8), headers=headers)
        await producer.flush()


async def test_the_json_form_names_every_part_and_works_while_nothing_runs(office: Office) -> None:
    code, text = await office.status("--json")

    told = json.loads(text)
    assert code == 1
    assert (told["form"], told["bus_id"], told["verdict"]) == (1, "shuniu", "STALLED")
    assert {name for name, value in told.items() if isinstance(value, list)} == {
        "adapters",
        "datasets",
        "departments",
        "entities",
        "rejects",
        "subscribers",
        "views",
        "workers",
    }
    assert [each["name"] for each in told["datasets"]] == [DATASET]
    assert told["adapters"][0]["code"] == "adapter-never"
    assert told["views"][0] | {"verdict": "OK", "freshness_seconds": None, "filled": 1.0} == told["views"][0]
    assert {each["name"]: each["datasets"] for each in told["departments"]} == {"scjg": [DATASET], "zwfw": []}
    assert (told["interval"] or 0) >= 1.0, "rates need two looks"


def test_a_program_reads_on_standard_output_that_kafka_does_not_answer() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens there
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [sys.executable, "-m", "bus", "status", "--json", "--bootstrap", where]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    told = json.loads(ended.stdout)
    assert (ended.returncode, told["form"], told["error"]["where"]) == (1, 1, where)
    assert told["error"]["summary"]
    assert told["error"]["fix"]
    assert told["error"]["summary"] in ended.stderr, "a person reads it where errors stand"
