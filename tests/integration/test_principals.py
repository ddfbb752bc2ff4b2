"""Each principal on a real broker: reads or writes its own and nothing else, and is cut off when it must be."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
from aiokafka.protocol.fetch import FetchRequest
from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient

from bus.catalogue.plan import Limits, plan
from bus.catalogue.plan_text import plan_lines
from bus.catalogue.workspace import Workspace
from bus.config import ENVIRONMENT
from bus.kafka import clients
from bus.kafka.admin import client_settings
from bus.testing.guarded import SHARED_VIEW, TAX_VIEW, Guarded
from bus.testing.processes import BusProcesses
from bus.testing.waiting import until
from tests.live_readers import Live, both_follow, rights

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bus.config import Settings

REGISTERED = ("raw.scjg.companies", "dlq.scjg.companies", "_bus.positions.scjg")
VISITS = ("raw.zwfw.visits", "dlq.zwfw.visits", "_bus.positions.zwfw")


@pytest.fixture
def bus(guarded: Guarded) -> Guarded:
    return guarded


@pytest.fixture
async def applied(bus: Guarded) -> Guarded:
    """The bus with what it starts with: `tax` has its own view and the portal's."""
    bus.subscribe()
    await bus.apply()
    return bus


def test_a_subscriber_may_read_the_views_that_it_subscribes_to_and_nothing_else(applied: Guarded) -> None:
    assert rights(applied, "portal") == {SHARED_VIEW: {"READ"}}
    assert rights(applied, "tax") == {SHARED_VIEW: {"READ"}, TAX_VIEW: {"READ"}}


def test_an_adapter_may_write_what_is_its_departments_and_read_what_it_must(applied: Guarded) -> None:
    assert rights(applied, "adapter.scjg") == {
        "raw.scjg.companies": {"READ", "WRITE"},  # read: a snapshot's end looks for the keys that did not come
        "dlq.scjg.companies": {"WRITE"},
        "_bus.positions.scjg": {"READ", "WRITE"},
        "_bus.catalogue": {"READ"},
    }
    assert set(rights(applied, "adapter.zwfw-front")) == {*VISITS, "_bus.catalogue"}


@pytest.mark.parametrize("principal", ["portal", "tax", "adapter.scjg", "adapter.zwfw-front"])
def test_nobody_but_the_bus_may_do_anything_to_the_cluster(applied: Guarded, principal: str) -> None:
    client = AdminClient(client_settings(applied.as_(principal).kafka))
    assert not client.describe_cluster(include_authorized_operations=True).result(10).authorized_operations


async def write(settings: Settings, topic: str, transactional_id: str | None, *values: bytes) -> None:
    producer = clients.producer(settings.kafka, transactional_id)
    async with clients.started(producer, settings.kafka):
        if transactional_id is None:
            for value in values:
                await producer.send_and_wait(topic, value, key=b"key")
            return
        async with producer.transaction():
            for value in values:
                await producer.send_and_wait(topic, value, key=b"key")


async def read(settings: Settings, topic: str, group: str | None) -> list[bytes]:
    """The first records of a topic, in a consumer group or without one."""
    consumer = clients.consumer(settings.kafka, group_id=group, auto_offset_reset="earliest")
    async with clients.started(consumer, settings.kafka), asyncio.timeout(15):
        if group is None:
            consumer.assign([clients.TopicPartition(topic, number) for number in range(4)])
        else:
            consumer.subscribe([topic])
        while True:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                return [record.value for record in records]


@pytest.mark.parametrize("group", ["tax", "tax.reports", None])
async def test_a_subscriber_reads_its_view_in_groups_of_its_own_name(applied: Guarded, group: str | None) -> None:
    await write(applied.settings, TAX_VIEW, None, b"a record")
    assert b"a record" in await read(applied.as_("tax"), TAX_VIEW, group)


@pytest.mark.parametrize("group", ["portal", "portal.x", "taxi", "_bus.route", "tax-2"])
async def test_a_subscriber_is_kept_out_of_other_groups(applied: Guarded, group: str) -> None:
    with pytest.raises(GroupAuthorizationFailedError):
        await read(applied.as_("tax"), TAX_VIEW, group)


@pytest.mark.parametrize(
    "topic",
    [TAX_VIEW, "shared.enterprise.company", "raw.scjg.companies", "dlq.scjg.companies", "_bus.catalogue", "_schemas"],
)
async def test_a_subscriber_is_refused_what_is_not_its_own(applied: Guarded, topic: str) -> None:
    portal = applied.as_("portal")
    assert await fetch(portal, SHARED_VIEW) == KafkaError.NO_ERROR
    assert await fetch(portal, topic) == KafkaError.TOPIC_AUTHORIZATION_FAILED
    with pytest.raises(ClusterAuthorizationFailedError):  # an idempotent producer is for those who may write something
        await write(portal, topic, None, b"forged")
    async with AIOKafkaProducer(**clients.security(portal.kafka)) as producer:
        with pytest.raises(TopicAuthorizationFailedError):
            await producer.send_and_wait(topic, b"forged", key=b"key")


async def fetch(settings: Settings, topic: str) -> int:
    """Kafka's error code for who asks a partition's leader for records outright, without looking the topic up first."""
    client = AIOKafkaClient(**clients.security(settings.kafka))
    await client.bootstrap()
    try:
        request = FetchRequest(100, 1, 1_000_000, 1, [(topic, [(0, 0, 1_000_000)])])
        answer = await client.send(client.get_random_node(), request)
    finally:
        await client.close()
    [(_, [(_, error, *_)])] = answer.topics
    return int(error)


async def test_a_subscriber_may_not_write_its_own_view(applied: Guarded) -> None:
    async with AIOKafkaProducer(**clients.security(applied.as_("portal").kafka)) as producer:
        with pytest.raises(TopicAuthorizationFailedError):
            await producer.send_and_wait(SHARED_VIEW, b"forged", key=b"key")


async def test_an_adapter_writes_its_topics_in_its_transactions(applied: Guarded) -> None:
    scjg = applied.as_("adapter.scjg")
    for topic in REGISTERED:
        await write(scjg, topic, "shuniu.adapter.scjg", b"x")


@pytest.mark.parametrize("topic", [*VISITS, "shared.enterprise.company", SHARED_VIEW, "_bus.catalogue", "_schemas"])
async def test_an_adapter_is_refused_what_is_another_departments(applied: Guarded, topic: str) -> None:
    with pytest.raises(TopicAuthorizationFailedError):
        await write(applied.as_("adapter.scjg"), topic, "shuniu.adapter.scjg", b"forged")


@pytest.mark.parametrize("identity", ["shuniu.adapter.zwfw-front", "shuniu.adapter.scjg2", "_bus.catalogue.writer"])
async def test_an_adapter_cannot_fence_another_writer(applied: Guarded, identity: str) -> None:
    with pytest.raises(TransactionalIdAuthorizationFailed):
        await write(applied.as_("adapter.scjg"), "raw.scjg.companies", identity, b"x")


@pytest.fixture
async def live(applied: Guarded) -> AsyncIterator[Live]:
    async with both_follow(applied) as following:
        yield following


def bus_apply(bus: Guarded, *arguments: str) -> subprocess.Popen[str]:
    """`bus apply` as an operator runs it, in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT.values()}
    return subprocess.Popen(
        [sys.executable, "-m", "bus", "apply", str(bus.folder), *arguments],
        env=environment | {"BUS_DATA_DIR": str(bus.data_dir)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


async def test_a_withdrawn_subscription_ends_a_live_consumer_within_two_seconds(applied: Guarded, live: Live) -> None:
    tax = live.tax
    applied.subscribe(tax="tax-company")

    begun = time.time()
    made = await applied.apply()
    await until(lambda: tax.refused_at, within=10, what="the consumer is refused")

    assert "  - tax may no longer read view.portal-company.v1" in list(plan_lines(made))
    assert tax.refused_at - begun < 2
    await live.see_that_only_tax_was_cut_off()


async def test_a_subscriber_lists_the_topics_that_it_may_read(applied: Guarded, tmp_path: Path) -> None:
    with BusProcesses(tmp_path) as processes:
        topics = processes.start(applied.as_("tax"), "topics", "--json")
        assert await asyncio.to_thread(topics.wait) == 0, topics.text()

    assert {line["topic"]: line["cleanup"] for line in json.loads(topics.text())} == {SHARED_VIEW: "?", TAX_VIEW: "?"}


@pytest.mark.usefixtures("live")
async def test_a_tail_whose_right_is_taken_ends_and_says_so(applied: Guarded, tmp_path: Path) -> None:
    with BusProcesses(tmp_path) as processes:
        tail = processes.start(applied.as_("tax"), "tail", SHARED_VIEW)
        await until(lambda: len(tail.text().splitlines()) > 1, within=20, what="records")
        applied.subscribe(tax="tax-company")
        await applied.apply()

        assert await asyncio.to_thread(tail.wait) == 1
    assert f"'tax' may not read {SHARED_VIEW} any more" in tail.text()
    assert "ask the bus's operator whether the subscription is still active" in tail.text()
    assert "Traceback" not in tail.text()


async def test_an_expired_subscription_gives_no_right_and_the_plan_says_so(applied: Guarded) -> None:
    applied.subscribe(tax="portal-company until 2020-01-01, tax-company")
    made = await applied.apply()
    assert rights(applied, "tax") == {TAX_VIEW: {"READ"}}
    assert "subscription tax-portal-company ended on 2020-01-01" in "\n".join(plan_lines(made))


async def test_a_subscriber_that_is_gone_has_no_right_and_no_login(applied: Guarded) -> None:
    file = applied.folder / "more.yaml"
    left = file.read_text("utf-8").partition("kind: Subscriber\nmetadata: {name: tax}")[0]
    tax = applied.as_("tax")
    file.write_text(left.rstrip().removesuffix("---"), "utf-8")

    made = await applied.apply()

    assert "  - login tax, and credentials/tax.env" in list(plan_lines(made))
    state = await applied.state()
    assert not [acl for acl in state.acls if acl.principal == "tax"]
    assert "tax" not in (state.users or ())
    assert "tax" not in state.logins
    with pytest.raises(clients.KafkaConnectionError):
        await clients.consumer(tax.kafka).start()


async def test_a_plan_tells_rights_in_words_and_a_second_apply_changes_nothing(applied: Guarded) -> None:
    applied.subscribe(tax="tax-company")
    workspace = Workspace.load(applied.folder)
    made = plan(workspace, await applied.state(), Limits.of(applied.settings))
    assert list(plan_lines(made)) == [
        "  - tax may no longer read view.portal-company.v1",
        "  - catalogue Subscription/tax-portal-company",
    ]
    await applied.apply()
    assert (await applied.apply()).actions == ()


async def test_rights_that_somebody_gave_by_hand_are_taken_again(applied: Guarded) -> None:
    from bus.kafka.principals import Acl, Principals

    extra = Acl("portal", "READ", "topic", "raw.", prefixed=True)
    await asyncio.to_thread(Principals(applied.settings.kafka).allow, [extra])
    assert rights(applied, "portal")["raw.scjg.companies"] == {"READ"}
    made = await applied.apply()
    assert list(plan_lines(made)) == ["  - portal may no longer read raw.*"]
    assert rights(applied, "portal") == {SHARED_VIEW: {"READ"}}


async def test_logins_are_for_their_owners_alone(applied: Guarded) -> None:
    folder = applied.credentials.folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
    names = ("bus", "portal", "tax", "adapter.scjg", "adapter.zwfw-front")
    assert files == {f"{name}.env": 0o600 for name in names}


def test_a_command_under_a_login_that_may_not_says_whose_it_is(applied: Guarded) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT.values()}
    environment |= applied.as_("portal").environment()
    refused = {"plan": "the login 'portal' may not", "tail raw.scjg.companies": "the login 'portal' may not see it"}
    for command, told in refused.items():
        arguments = [sys.executable, "-m", "bus", *command.split()]
        ended = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 1
        assert told in ended.stderr


async def test_a_login_works_in_any_shell(applied: Guarded) -> None:
    await write(applied.settings, TAX_VIEW, None, b"a record")
    script = f'set -a; . "{applied.credentials.file("tax")}"; exec "{sys.executable}" -m bus tail {TAX_VIEW} --limit 1'
    told = await asyncio.to_thread(
        subprocess.run,
        ["sh", "-c", f"{script} --from-beginning --json"],
        env={"PATH": os.environ["PATH"]}, cwd="/", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["partition"] in range(4)


async def test_no_password_is_told_anywhere(applied: Guarded) -> None:
    applied.subscribe(tax="")
    shown = [str(await applied.apply()), "\n".join(plan_lines(await applied.apply())), repr(applied.settings)]
    applied.subscribe()
    apply = bus_apply(applied, "--json")
    shown += [(await asyncio.to_thread(apply.communicate))[0]]
    logs = [file for file in applied.data_dir.rglob("*.log") if file.is_file()]
    assert logs, "the broker writes logs"
    for password in applied.passwords:
        assert not [text for text in shown if password in text]
        for log in logs:
            assert password.encode() not in log.read_bytes(), log
    holding = {
        file.relative_to(applied.data_dir).as_posix(): stat.S_IMODE(file.stat().st_mode)
        for file in applied.data_dir.rglob("*")
        if file.is_file() and any(password.encode() in file.read_bytes() for password in applied.passwords)
    }
    assert holding.pop("kafka/server.properties") == 0o600
    assert all(name.startswith("credentials/") for name in holding)
