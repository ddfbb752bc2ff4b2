"""An embedded broker with logins and access control: SCRAM-SHA-512 and the standard authorizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bus.config import Connection
from bus.errors import BrokerUnavailableError
from bus.kafka.admin import Admin, KafkaRefusedError, NewTopic
from bus.kafka.embedded import EmbeddedKafka
from bus.kafka.server_properties import Security

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    security = Security({"operator": "o-secret", "reader": "r-secret"}, superuser="operator")
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka"), security=security) as running:
        yield running


def admin(kafka: EmbeddedKafka, username: str, password: str) -> Admin:
    connection = Connection.model_validate(
        {
            "bootstrap": kafka.bootstrap,
            "security_protocol": "SASL_PLAINTEXT",
            "username": username,
            "password": password,
        }
    )
    return Admin(connection, timeout=5)


def test_the_superuser_may_do_everything(kafka: EmbeddedKafka) -> None:
    operator = admin(kafka, "operator", "o-secret")

    operator.create_topics([NewTopic("guarded")])

    operator.set_committed("g", {("guarded", 0): 3})
    assert operator.committed("g") == {("guarded", 0): 3}


def test_another_user_sees_and_makes_nothing_without_an_acl(kafka: EmbeddedKafka) -> None:
    reader = admin(kafka, "reader", "r-secret")

    assert reader.topics() == {}
    with pytest.raises(KafkaRefusedError, match="Authorization failed"):
        reader.create_topics([NewTopic("mine")])


def test_a_wrong_password_does_not_get_in(kafka: EmbeddedKafka) -> None:
    with pytest.raises(BrokerUnavailableError):
        admin(kafka, "reader", "guessed").topics()


def test_without_a_login_nothing_is_answered(kafka: EmbeddedKafka) -> None:
    with pytest.raises(BrokerUnavailableError):
        Admin(Connection(bootstrap=kafka.bootstrap), timeout=2).topics()
