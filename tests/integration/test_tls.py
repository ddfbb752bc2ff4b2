"""The main job through a cluster that takes only encrypted connections and known users: SASL_SSL, SCRAM-SHA-512."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from bus.config import Connection
from bus.errors import BrokerUnavailableError
from bus.kafka import clients
from bus.kafka.admin import Admin
from bus.kafka.embedded import EmbeddedKafka
from bus.kafka.probe import free_port
from bus.kafka.server_properties import Security
from bus.testing.city import City

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PASSWORD = "not-to-be-seen"


def key_store(authority: trustme.CA, file: Path) -> Path:
    """The broker's key and certificate as Kafka reads them: PEM, the key in PKCS #8."""
    issued = authority.issue_cert("127.0.0.1")
    key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
    pkcs8 = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(pkcs8 + b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    return file


def tls_listener(folder: Path, authority: trustme.CA, ports: dict[str, int]) -> EmbeddedKafka:
    """A broker with a second listener, for TLS; the first one is for itself."""
    security = Security({"operator": PASSWORD}, superuser="operator")
    protocols = security.properties()["listener.security.protocol.map"]
    properties = {
        "listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports.items()),
        "advertised.listeners": ",".join(f"{name}://127.0.0.1:{ports[name]}" for name in ("PLAINTEXT", "TLS")),
        "listener.security.protocol.map": f"{protocols},TLS:SASL_SSL",
        "listener.name.tls.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.tls.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "listener.name.tls.ssl.keystore.type": "PEM",
        "listener.name.tls.ssl.keystore.location": str(key_store(authority, folder / "broker.pem")),
        "controller.quorum.voters": f"1@127.0.0.1:{ports['CONTROLLER']}",
    }
    return EmbeddedKafka(folder / "kafka", ports["PLAINTEXT"], properties=properties, security=security)


@pytest.fixture
async def city(tmp_path: Path) -> AsyncIterator[City]:
    authority = trustme.CA()
    ports = {name: free_port() for name in ("PLAINTEXT", "CONTROLLER", "TLS")}
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    connection = Connection.model_validate(
        {
            "bootstrap": f"127.0.0.1:{ports['TLS']}",
            "security_protocol": "SASL_SSL",
            "username": "operator",
            "password": PASSWORD,
            "ca_file": tmp_path / "authority.pem",
        }
    )
    kafka = tls_listener(tmp_path, authority, ports)
    async with City(tmp_path, rows=100, kafka=kafka, connection=connection) as running:
        yield running


async def test_the_main_job_runs_over_tls_and_a_login(city: City) -> None:
    worker, adapter = city.worker(), city.adapter()
    await city.settled(within=60)  # the snapshot has come
    async with city.load(rate=50):
        await city.flows_again()
    await city.prove()

    for process in (worker, adapter):
        assert PASSWORD not in process.text()

    stranger = city.settings.kafka.model_copy(update={"ca_file": None})
    with pytest.raises(BrokerUnavailableError):
        Admin(stranger, timeout=3).topics()
    with pytest.raises((BrokerUnavailableError, ssl.SSLError)):
        async with clients.started(clients.producer(stranger), stranger, within=5):
            pass
