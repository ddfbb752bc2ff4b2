"""The pytest plugin that ships with the bus: a broker and a registry for a test session.

Loaded by every pytest in an environment where the bus is installed, hence cheap: it imports when a fixture is used.
KAFKA_BOOTSTRAP and BUS_REGISTRY_URL, when set, name the ones to use instead of our own.
"""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bus.config import Connection


@pytest.fixture(scope="session")
def kafka_connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A connection to a real Kafka: one embedded broker for the session, or the one of KAFKA_BOOTSTRAP."""
    from bus.config import Settings  # noqa: PLC0415  (lazily: see above)

    if os.environ.get("KAFKA_BOOTSTRAP"):
        yield Settings.load().kafka
        return
    from bus.kafka.embedded import EmbeddedKafka  # noqa: PLC0415

    with EmbeddedKafka(tmp_path_factory.mktemp("kafka")) as kafka:
        yield Settings.load({}, bootstrap=kafka.bootstrap).kafka


@pytest.fixture(scope="session")
def registry_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a schema registry: one of ours over the session's broker, or that of BUS_REGISTRY_URL."""
    if given := os.environ.get("BUS_REGISTRY_URL"):
        yield given
        return
    from bus.testing.registry_thread import RegistryThread  # noqa: PLC0415

    with RegistryThread(request.getfixturevalue("kafka_connection")) as registry:
        yield registry.url


@pytest.fixture
def unique() -> Callable[[str], str]:
    """`unique("orders")` is a name that no other test has: `orders-1f0c…`; tests share one broker."""
    return lambda prefix: f"{prefix}-{uuid.uuid4().hex[:12]}"
