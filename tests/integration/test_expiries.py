"""Subscriptions end by themselves on a real broker, for a consumer that is connected too."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest
from structlog.testing import capture_logs

from bus.catalogue import clock
from bus.catalogue.apply import WRITER
from bus.catalogue.expiries import Expiries
from bus.catalogue.record import CatalogueRecord
from bus.catalogue.subscription import Subscription
from bus.catalogue.topics import CATALOGUE_TOPIC
from bus.config import Settings
from bus.credentials import SUPERUSER, Credentials
from bus.demo.child import BusChild
from bus.errors import BrokerUnavailableError
from bus.kafka.compacted import CompactedTopic
from bus.kafka.principals import Acl, Principals
from bus.kafka.probe import free_port
from bus.testing.guarded import SHARED_VIEW, TAX_VIEW, Guarded
from bus.testing.waiting import until
from tests.live_readers import both_follow, rights

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from bus.children import BusProcess
    from bus.config import Connection
    from bus.testing.processes import BusProcesses

LAST_DAY = clock.now().date() + dt.timedelta(days=30)
"""So far away that `bus apply`, which goes by the real date, gives the rights."""

TAX_READS_THE_SHARED_VIEW = Acl("tax", "READ", "topic", SHARED_VIEW)
KEY = "Subscription/tax-portal-company"


def midnight_in(seconds: float) -> Callable[[], dt.datetime]:
    """A clock that will strike the end of LAST_DAY in so many seconds."""
    end = clock.next_day(dt.datetime.combine(LAST_DAY, dt.time.min)) - dt.timedelta(seconds=seconds)
    ahead = end - clock.now()

    def now() -> dt.datetime:
        return (dt.datetime.now(dt.UTC) + ahead).astimezone()

    return now


@asynccontextmanager
async def enforced(*several: Expiries) -> AsyncIterator[None]:
    """They run."""
    tasks = [asyncio.create_task(each.run()) for each in several]
    try:
        await until(lambda: not any(each.trouble for each in several), within=20, what="control follows the catalogue")
        yield
        for task in tasks:
            assert not task.done(), task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def acls(settings: Settings) -> frozenset[Acl]:
    return await asyncio.to_thread(Principals(settings.kafka).acls)


async def let_end(settings: Settings, key: str, last_day: dt.date) -> None:
    """Write another last day into the catalogue, and nothing else."""
    async with CompactedTopic(settings.kafka, CATALOGUE_TOPIC, writer=WRITER) as catalogue:
        record = CatalogueRecord.decode(key, catalogue.items[key])
        assert isinstance(record.resource, Subscription)
        spec = record.resource.spec.model_copy(update={"valid_until": last_day})
        ends = record.resource.model_copy(update={"spec": spec})
        changed = replace(record, resource=ends, digest=ends.digest(), generation=record.generation + 1)
        await catalogue.put({key: changed.encode()})


@pytest.fixture
async def ending(guarded: Guarded) -> Guarded:
    """The bus; what `tax` has of the portal's view ends with LAST_DAY."""
    guarded.subscribe(tax=f"portal-company until {LAST_DAY}, tax-company")
    await guarded.apply()
    return guarded


async def test_when_a_subscription_ends_a_live_consumer_is_cut_off_within_two_seconds(ending: Guarded) -> None:
    before = await acls(ending.settings)
    async with both_follow(ending) as live:
        now = midnight_in(6)
        both = Expiries(ending.settings, now), Expiries(ending.settings, now)  # several may run
        end = time.time() + (clock.next_day(now()) - now()).total_seconds()
        async with enforced(*both):
            assert now().date() == LAST_DAY, "they ran before the end"
            await until(lambda: live.tax.refused_at, within=10, what="the consumer is refused")
            assert end <= live.tax.refused_at < end + 2
            await live.see_that_only_tax_was_cut_off()
            await until(lambda: all(each.ended for each in both), within=5, what="both have seen it")
    assert await acls(ending.settings) == before - {TAX_READS_THE_SHARED_VIEW}
    assert rights(ending, "tax") == {TAX_VIEW: {"READ"}}
    assert rights(ending, "portal") == {SHARED_VIEW: {"READ"}}


async def test_a_date_that_is_changed_is_heard_of_at_once_and_one_that_is_extended_gives_the_rights_back(
    ending: Guarded,
) -> None:
    ending.subscribe()
    await ending.apply()
    before = await acls(ending.settings)
    assert TAX_READS_THE_SHARED_VIEW in before
    control = Expiries(ending.settings, midnight_in(-3600))
    async with enforced(control):
        await let_end(ending.settings, KEY, LAST_DAY)
        written = time.time()
        await until(lambda: control.taken, within=10, what="the right is taken")
        assert time.time() - written < 2
        assert await acls(ending.settings) == before - {TAX_READS_THE_SHARED_VIEW}

        await ending.apply()
        await until(lambda: not control.ended, within=10, what="the later date is heard of")
        assert await acls(ending.settings) == before
    assert control.taken == 1


async def test_rights_that_others_gave_are_left_to_bus_apply(ending: Guarded) -> None:
    by_hand = Acl("tax", "READ", "topic", "shared.", prefixed=True)
    await asyncio.to_thread(Principals(ending.settings.kafka).allow, [by_hand])
    control = Expiries(ending.settings, midnight_in(-3600))
    async with enforced(control):
        assert (control.ended, control.taken) == (1, 1)
    after = await acls(ending.settings)
    assert by_hand in after
    assert TAX_READS_THE_SHARED_VIEW not in after


def told(process: BusProcess) -> list[dict[str, object]]:
    """The lines of a process's log."""
    return [json.loads(line) for line in process.text().splitlines() if line.startswith("{")]


async def test_bus_control_does_it_and_tells_so_in_its_log_and_metrics(
    ending: Guarded, bus_processes: BusProcesses
) -> None:
    port = free_port()
    process = bus_processes.start(ending.settings, "control", "--metrics-port", str(port))
    await until(lambda: "follows the catalogue" in process.text(), within=30, what="bus control runs")
    await let_end(ending.settings, KEY, clock.now().date() - dt.timedelta(days=1))

    await until(lambda: "rights taken" in process.text(), within=10, what="it is told")

    assert TAX_READS_THE_SHARED_VIEW not in await acls(ending.settings)
    [line] = [line for line in told(process) if "rights taken" in str(line["event"])]
    assert (line["principal"], line["may_no_longer"]) == ("tax", f"read {SHARED_VIEW}")
    with await asyncio.to_thread(urlopen, f"http://127.0.0.1:{port}/metrics") as answer:
        shown = answer.read().decode()
    assert "shuniu_rights_taken_total 1.0" in shown
    assert "shuniu_subscriptions_ended 1.0" in shown
    with await asyncio.to_thread(urlopen, f"http://127.0.0.1:{port}/healthz") as answer:
        assert json.load(answer) == {"control": "ok"}
    assert await asyncio.to_thread(process.end) == 0


async def test_a_cluster_that_checks_no_acls_is_told_of_once(kafka_connection: Connection) -> None:
    control = Expiries(Settings(kafka=kafka_connection))
    with capture_logs() as logs:
        task = asyncio.create_task(control.run())
        await until(lambda: "no authorizer" in control.trouble, within=20, what="it is noticed")
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert [(line["log_level"], line["event"]) for line in logs] == [
        ("warning", "the end of subscriptions cannot be enforced: the cluster checks no ACLs")
    ]


async def test_a_broker_that_is_not_there_at_the_start_is_an_error() -> None:
    nowhere = Settings.load({}, bootstrap="127.0.0.1:1")
    with pytest.raises(BrokerUnavailableError):
        await Expiries(nowhere).run()


async def test_bus_up_takes_the_rights_of_what_ends_meanwhile(tmp_path: Path) -> None:
    variables = {"BUS_LOG": "json"}
    ports = ("--port", "0", "--registry-port", "0", "--console-port", "0")
    with BusChild("bus-up", tmp_path, ["up", "--data-dir", str(tmp_path), *ports, "--json"], variables) as up:
        await up.told('{"bootstrap"')
        login = Credentials(tmp_path).read(SUPERUSER)
        assert login
        settings = Settings.load(login)
        portal = Acl("portal", "READ", "topic", "view.portal-person.v1")
        assert portal in await acls(settings)
        await let_end(settings, "Subscription/portal-person", clock.now().date() - dt.timedelta(days=1))

        async def taken() -> bool:
            return portal not in await acls(settings)

        await until(taken, within=20, what="the portal may no longer read")
        up.check()


async def test_a_broker_that_is_away_at_the_end_is_waited_for(ending: Guarded) -> None:
    """The last test here: it kills the broker."""
    control = Expiries(ending.settings, midnight_in(6))
    async with enforced(control):
        ending._broker.kafka.kill()
        await until(lambda: control.trouble == "The Kafka broker does not answer", within=60)
        await asyncio.to_thread(ending._broker.kafka.start)
        await until(lambda: control.taken, within=40, what="the right is taken")
        assert TAX_READS_THE_SHARED_VIEW not in await acls(ending.settings)
    assert not control.trouble
