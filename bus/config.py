"""How a process reaches Kafka and the registry, and which bus it belongs to.

Secrets come from the environment or a file, never from the catalogue. Every setting has one environment variable.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping  # noqa: TC003  (pydantic evaluates it)
from pathlib import Path
from typing import Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from bus.errors import ConfigError

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
Compression = Literal["none", "gzip", "snappy", "lz4", "zstd"]

ENVIRONMENT = {
    "bootstrap": "KAFKA_BOOTSTRAP",
    "security_protocol": "KAFKA_SECURITY_PROTOCOL",
    "sasl_mechanism": "KAFKA_SASL_MECHANISM",
    "username": "KAFKA_USERNAME",
    "password": "KAFKA_PASSWORD",
    "ca_file": "KAFKA_CA_FILE",
    "compression": "KAFKA_COMPRESSION",
    "registry_url": "BUS_REGISTRY_URL",
    "bus_id": "BUS_ID",
    "lanes": "BUS_LANES",
    "data_dir": "BUS_DATA_DIR",
}

OPTIONS: Final = {"bootstrap": "--bootstrap", "registry_url": "--registry", "data_dir": "--data-dir"}
FIXES: Final = {
    "compression": "none, lz4, zstd, snappy or gzip",
    "bootstrap": "host:port of a broker, several separated by commas: 127.0.0.1:9092",
    "registry_url": "an http:// or https:// URL: http://127.0.0.1:8081",
}
CODEC: Final = "BUS_CODEC"
"""Variable that may leave the compiled data path out, for comparison; `bus.pipeline.native` reads it."""

CODECS: Final = ("compiled", "reference")
LOGIN_FIX: Final = "set it, or take the login that `bus apply` made: set -a; . .bus/credentials/<login>.env; set +a"


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) <= 65535


class Connection(BaseModel):
    """A Kafka cluster, how to log in there, and how what is written there is compressed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bootstrap: str = Field(default="127.0.0.1:9092", description="host:port, several separated by commas")
    security_protocol: Protocol = "PLAINTEXT"
    sasl_mechanism: Mechanism = "SCRAM-SHA-512"
    username: str = ""
    password: SecretStr = SecretStr("")
    ca_file: Path | None = Field(
        default=None, description="PEM file of the authority that signed the brokers' certificates"
    )
    compression: Compression = Field(default="none", description="of the record batches that are written")

    @field_validator("bootstrap")
    @classmethod
    def _has_ports(cls, value: str) -> str:
        for server in value.split(","):
            host, _, port = server.strip().rpartition(":")
            if not host or host.startswith("[") != host.endswith("]") or not _is_port(port):
                raise ValueError(f"{server!r} is not host:port")
        return value


class Settings(BaseModel):
    """What one process of the bus needs to know.

    Attributes:
        bus_id: the name of this bus in `ce_source`; a bus refuses records that bear its own id from elsewhere.
        lanes: units of ownership of the data path, fixed for the life of a cluster.
        data_dir: where embedded Kafka keeps its data.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kafka: Connection = Connection()
    registry_url: str = "http://127.0.0.1:8081"
    bus_id: str = Field(default="shuniu", pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")
    lanes: int = Field(default=16, ge=1, le=256)
    data_dir: Path = Path(".bus")

    @field_validator("registry_url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError:  # a port that is no number, a bracket that is not closed
            usable = False
        if not usable or any(character.isspace() for character in value):
            raise ValueError(f"{value!r} is not the URL of a registry")
        return value

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None, **given: object) -> Self:
        """The settings from the environment, overridden by those that are given and not None.

        Raises:
            ConfigError: a setting cannot be used; names the variable, never a secret's value.
        """
        environment = os.environ if environment is None else environment
        values: dict[str, object] = {n: environment[v] for n, v in ENVIRONMENT.items() if environment.get(v)}
        values.update({name: value for name, value in given.items() if value is not None})
        kafka = {name: values.pop(name) for name in Connection.model_fields if name in values}
        try:
            settings = cls.model_validate({"kafka": kafka, **values})
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            name = str(first["loc"][-1])
            raise ConfigError(
                f"{name}: {first['msg'].removeprefix('Value error, ')}",
                where=" or ".join(filter(None, (OPTIONS.get(name), ENVIRONMENT.get(name, name)))),
                fix=FIXES.get(name, ""),
            ) from None
        _check_login(settings.kafka)
        check_codec(environment)
        return settings

    def environment(self) -> dict[str, str]:
        """The environment variables that hand these settings on to a process of one's own; a password is among them."""
        values = self.model_dump() | self.kafka.model_dump() | {"password": self.kafka.password.get_secret_value()}
        return {variable: str(values[name]) for name, variable in ENVIRONMENT.items() if values[name] not in (None, "")}


def check_codec(environment: Mapping[str, str] | None = None) -> None:
    """See that BUS_CODEC is one of those that there are, or empty.

    Raises:
        ConfigError: it is not.
    """
    asked = (os.environ if environment is None else environment).get(CODEC, "")
    if asked and asked not in CODECS:
        fix = "reference: leave the compiled code out; compiled, or not set: take it where it is built"
        raise ConfigError(f"codec: {asked!r} is not known", where=CODEC, fix=fix)


def _check_login(connection: Connection) -> None:
    """See that the connection has all that its protocol needs.

    Raises:
        ConfigError: a login or a certificate is missing.
    """
    protocol = connection.security_protocol
    if protocol.startswith("SASL"):
        for name, given in (("username", connection.username), ("password", connection.password.get_secret_value())):
            if not given:
                raise ConfigError(f"{protocol} needs a {name}, and none is set", where=ENVIRONMENT[name], fix=LOGIN_FIX)
    if protocol.endswith("SSL") and connection.ca_file is not None:
        try:
            ssl.create_default_context(cafile=connection.ca_file)
        except OSError as error:  # ssl.SSLError is one: the file holds no certificate
            reason = "it holds no certificate in PEM" if isinstance(error, ssl.SSLError) else error.strerror
            raise ConfigError(
                f"the file {connection.ca_file} cannot be used: {reason}",
                where=ENVIRONMENT["ca_file"],
                fix="name the PEM file of the authority that signed the brokers' certificates",
            ) from None
