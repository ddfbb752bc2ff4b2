"""`bus apply` killed at any moment: never more open than before or after, and applying again ends right."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from bus.config import ENVIRONMENT
from bus.kafka import clients
from bus.kafka.admin import Admin
from bus.testing.guarded import TAX_VIEW, Guarded
from bus.testing.topics import read_topic
from bus.testing.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bus.catalogue.cluster_state import ClusterState

STEPS = 8
"""Moments of killing, spread over the time that an apply takes."""


@pytest.fixture
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with Guarded(tmp_path_factory.mktemp("guarded")) as running:
        yield running


def start_apply(bus: Guarded) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT.values()}
    return subprocess.Popen(
        [sys.executable, "-m", "bus", "apply", str(bus.folder)],
        env=environment | {"BUS_DATA_DIR": str(bus.data_dir)},
        stdout=subprocess.DEVNULL,
    )


def whole_apply(bus: Guarded) -> float:
    begun = time.monotonic()
    assert start_apply(bus).wait(60) == 0
    return time.monotonic() - begun


def access(state: ClusterState) -> tuple[object, ...]:
    return state.acls, state.users, state.logins


async def test_an_apply_killed_at_any_moment_is_mended_by_the_next(bus: Guarded) -> None:
    """A subscriber comes and goes; each apply is killed a little later than the one before it."""
    text = (bus.folder / "more.yaml").read_text("utf-8")
    versions = {True: text, False: text.partition("kind: Subscriber")[0].rstrip().removesuffix("---")}
    ends = {}
    for there, version in versions.items():
        (bus.folder / "more.yaml").write_text(version, "utf-8")
        took = await asyncio.to_thread(whole_apply, bus)
        ends[there] = await bus.state()
    assert {acl.principal for acl in ends[True].acls ^ ends[False].acls} == {"tax"}
    halfway = 0

    for step, there in itertools.product(range(STEPS), (True, False)):
        (bus.folder / "more.yaml").write_text(versions[there], "utf-8")
        apply = start_apply(bus)
        await asyncio.sleep(0.3 + step * took / STEPS)  # the moment is what is tried; nothing is waited for
        apply.kill()
        apply.wait()
        cut = await bus.state()
        assert cut.acls <= ends[True].acls | ends[False].acls
        halfway += cut.acls not in (ends[True].acls, ends[False].acls) or access(cut) != access(ends[not there])

        await bus.apply()

        assert access(await bus.state()) == access(ends[there])
        if there:
            assert await asyncio.to_thread(Admin(bus.as_("tax").kafka).partition_budget), "it logs in, sees its views"
    assert halfway, "no kill came after the first change"


async def test_a_view_whose_withdrawal_was_killed_is_not_filled_behind_what_it_held(bus: Guarded) -> None:
    bus.subscribe()
    await bus.apply()
    producer = clients.producer(bus.settings.kafka)
    async with clients.started(producer, bus.settings.kafka):
        await producer.send_and_wait(TAX_VIEW, b"of before", key=b"key")
    bus.subscribe(tax="portal-company")

    async def withdrawn() -> bool:
        return "Subscription/tax-tax-company" not in (await bus.state()).records

    apply = start_apply(bus)
    await until(withdrawn, within=20, what="the subscription is gone, its topic not yet")
    apply.kill()
    apply.wait()
    assert TAX_VIEW in (await bus.state()).topics, "the kill came too late: this proves nothing"
    bus.subscribe()
    await bus.apply()

    assert await read_topic(bus.settings, TAX_VIEW, decode=False) == []
