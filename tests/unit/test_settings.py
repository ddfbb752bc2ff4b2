"""Settings go on to processes of one's own, whole; those that cannot work are refused with the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from bus.config import Settings
from bus.errors import ConfigError


def test_settings_go_on_to_a_process_by_environment() -> None:
    settings = Settings.load({}, bootstrap="h:1", password="s", ca_file=Path("/ca.pem"), bus_id="b", lanes=2)

    assert Settings.load(settings.environment()) == settings


@pytest.mark.parametrize(
    ("environment", "where", "message"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_USERNAME": "bus"}, "KAFKA_PASSWORD", "needs a password"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_PASSWORD": "x"}, "KAFKA_USERNAME", "needs a username"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_CA_FILE": "/nowhere"}, "KAFKA_CA_FILE", "No such file"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_CA_FILE": "/"}, "KAFKA_CA_FILE", "cannot be used"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_CA_FILE": __file__}, "KAFKA_CA_FILE", "no certificate in PEM"),
        ({"KAFKA_COMPRESSION": "zip"}, "KAFKA_COMPRESSION", "should be 'none'"),
        ({"BUS_CODEC": "refrence"}, "BUS_CODEC", "codec: 'refrence' is not known"),
        ({"KAFKA_BOOTSTRAP": "nonsense"}, "--bootstrap or KAFKA_BOOTSTRAP", "is not host:port"),
        ({"KAFKA_BOOTSTRAP": "127.0.0.1:99999"}, "--bootstrap or KAFKA_BOOTSTRAP", "is not host:port"),
        ({"KAFKA_BOOTSTRAP": "127.0.0.1:²"}, "--bootstrap or KAFKA_BOOTSTRAP", "is not host:port"),
        ({"KAFKA_BOOTSTRAP": "[::1"}, "--bootstrap or KAFKA_BOOTSTRAP", "is not host:port"),
        ({"KAFKA_BOOTSTRAP": "[::1:9092"}, "--bootstrap or KAFKA_BOOTSTRAP", "is not host:port"),
        ({"BUS_REGISTRY_URL": "http://["}, "--registry or BUS_REGISTRY_URL", "is not the URL of a registry"),
        ({"BUS_REGISTRY_URL": "ftp://foo"}, "--registry or BUS_REGISTRY_URL", "is not the URL of a registry"),
        ({"BUS_REGISTRY_URL": "127.0.0.1:8081"}, "--registry or BUS_REGISTRY_URL", "is not the URL of a registry"),
        ({"BUS_REGISTRY_URL": "http://h:port"}, "--registry or BUS_REGISTRY_URL", "is not the URL of a registry"),
        ({"BUS_REGISTRY_URL": "http://a b"}, "--registry or BUS_REGISTRY_URL", "is not the URL of a registry"),
    ],
)
def test_settings_that_cannot_work_say_where_and_how_to_mend(
    environment: dict[str, str], where: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        Settings.load(environment)
    assert refused.value.where == where
    assert refused.value.fix


def test_a_login_that_is_whole_is_taken() -> None:
    login = {"security_protocol": "SASL_PLAINTEXT", "username": "bus", "password": "x"}
    assert Settings.load({}, **login).kafka.username == "bus"
