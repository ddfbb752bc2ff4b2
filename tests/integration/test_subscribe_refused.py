"""A subscriber that may not read what it asks for is told so, and how to mend it; it does not wait for ever."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

import bus
from bus.errors import BusError, LoginRefusedError, NotEntitledError, TopicUnknownError
from bus.testing.guarded import SHARED_VIEW, TAX_VIEW

if TYPE_CHECKING:
    from bus.config import Settings
    from bus.testing.guarded import Guarded


@pytest.fixture
def portal(guarded: Guarded) -> Settings:
    return guarded.as_("portal")


def with_login(settings: Settings, **login: object) -> Settings:
    return settings.model_copy(update={"kafka": settings.kafka.model_copy(update=login)})


async def refused(settings: Settings, topic: str = SHARED_VIEW, group: str = "portal") -> BusError:
    """What is raised to one who takes records."""
    with pytest.raises(BusError) as error:
        async with asyncio.timeout(20), bus.subscribe(topic, group, settings=settings, reload=True) as records:
            await anext(aiter(records))
    return error.value


async def test_a_wrong_password_is_not_a_broker_that_is_down(portal: Settings) -> None:
    error = await refused(with_login(portal, password=SecretStr("wrong")))

    assert isinstance(error, LoginRefusedError)
    assert "'portal'" in error.detail
    assert "KAFKA_PASSWORD" in error.fix
    assert "wrong" not in str(error)


async def test_who_gave_no_login_is_told_where_they_are(portal: Settings) -> None:
    error = await refused(with_login(portal, security_protocol="PLAINTEXT", username="", password=SecretStr("")))

    assert isinstance(error, LoginRefusedError)
    assert ".bus/credentials" in error.fix


@pytest.mark.parametrize("topic", [TAX_VIEW, "raw.scjg.companies", "view.portal-compny.v1"])
async def test_a_topic_of_somebody_else_is_as_if_it_were_not_there(portal: Settings, topic: str) -> None:
    error = await refused(portal, topic)

    assert isinstance(error, TopicUnknownError)
    assert topic in error.detail


async def test_a_group_of_somebody_else_is_refused(portal: Settings) -> None:
    error = await refused(portal, group="tax")

    assert isinstance(error, NotEntitledError)
    assert "'portal'" in error.detail
    assert "portal.…" in error.fix


def test_tail_of_a_topic_of_somebody_else_says_so_soon(portal: Settings) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bus", "tail", TAX_VIEW],
        env=portal.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert done.returncode == 1
    assert f"The Kafka broker shows no such topic: {TAX_VIEW} is not there" in done.stderr
    assert "Traceback" not in done.stderr
