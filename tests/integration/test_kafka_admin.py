"""Topics, settings and offsets on a real broker."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest

from bus.config import Connection
from bus.errors import BrokerUnavailableError, LoginRefusedError
from bus.kafka.admin import Admin, KafkaRefusedError, NewTopic
from bus.kafka.embedded import EmbeddedKafka
from bus.kafka.server_properties import Security

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def admin(kafka_connection: Connection) -> Admin:
    return Admin(kafka_connection)


def test_a_topic_is_there_when_create_returns_and_creating_it_again_is_fine(
    admin: Admin, unique: Callable[[str], str]
) -> None:
    topic = NewTopic(unique("t"), 3, {"cleanup.policy": "compact"})

    admin.create_topics([topic])
    admin.create_topics([topic])

    found = admin.topics()[topic.name]
    assert (found.partitions, found.config) == (3, {"cleanup.policy": "compact"})


def test_one_setting_changes_and_the_others_stay(admin: Admin, unique: Callable[[str], str]) -> None:
    topic = NewTopic(unique("t"), 1, {"cleanup.policy": "compact", "retention.ms": "1000"})
    admin.create_topics([topic])

    admin.alter_topic_config(topic.name, {"retention.ms": "2000", "cleanup.policy": None})

    assert admin.topics()[topic.name].config == {"retention.ms": "2000"}


def test_a_deleted_topic_is_gone_when_delete_returns(admin: Admin, unique: Callable[[str], str]) -> None:
    topic = unique("t")
    admin.create_topics([NewTopic(topic)])

    admin.delete_topics([topic, unique("never-was")])

    assert topic not in admin.topics()


def test_committed_offsets_are_set_and_read(admin: Admin, unique: Callable[[str], str]) -> None:
    topic, group = unique("t"), unique("g")
    admin.create_topics([NewTopic(topic, 2)])
    assert admin.committed(group) == {}

    admin.set_committed(group, {(topic, 0): 5, (topic, 1): 7})

    assert admin.committed(group) == {(topic, 0): 5, (topic, 1): 7}


def test_the_partitions_of_the_cluster_are_counted(admin: Admin, unique: Callable[[str], str]) -> None:
    before = admin.partition_budget()

    admin.create_topics([NewTopic(unique("t"), 5)])

    assert admin.partition_budget() >= before + 5


def test_what_kafka_refuses_says_why_and_where(admin: Admin, unique: Callable[[str], str]) -> None:
    with pytest.raises(KafkaRefusedError, match="invalid"):
        admin.create_topics([NewTopic("bad name")])
    with pytest.raises(KafkaRefusedError) as refused:
        admin.create_topics([NewTopic(unique("t"), 1, {"no.such.setting": "1"})])

    assert "no.such.setting" in str(refused.value)


def test_a_broker_that_is_away_is_named_within_the_time_given() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        bootstrap = f"127.0.0.1:{unused.getsockname()[1]}"

        with pytest.raises(BrokerUnavailableError) as unavailable:
            Admin(Connection(bootstrap=bootstrap), timeout=1).topics()

    assert unavailable.value.where == bootstrap
    assert "KAFKA_BOOTSTRAP" in unavailable.value.fix


def test_a_wrong_password_is_told_from_a_broker_that_is_away(tmp_path: Path) -> None:
    with EmbeddedKafka(tmp_path, security=Security({"operator": "right"}, superuser="operator")) as kafka:
        login = {"security_protocol": "SASL_PLAINTEXT", "username": "operator", "password": "wrong"}
        wrong = Connection.model_validate(login | {"bootstrap": kafka.bootstrap})

        began = time.monotonic()
        with pytest.raises(LoginRefusedError, match="'operator' with this password") as refused:
            Admin(wrong, timeout=60).topics()
        assert time.monotonic() - began < 20, "it waited as for a broker that may come back"

    assert refused.value.where == kafka.bootstrap
    assert "KAFKA_PASSWORD" in refused.value.fix
