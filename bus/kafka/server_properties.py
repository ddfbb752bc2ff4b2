"""The server.properties of the embedded broker: one node, broker and controller in one, on loopback."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NODE = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    # After a kill the controller takes the broker's next life only when the session of the last one has run out.
    "broker.session.timeout.ms": "4000",
    "broker.heartbeat.interval.ms": "1000",
    "auto.create.topics.enable": "false",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "num.recovery.threads.per.data.dir": "2",
    "log.cleaner.dedupe.buffer.size": "16777216",
    # Index files are mapped whole at their largest size. Where the file system pages in large folios, the 10 MB default
    # made the first entry of each cost megabytes of zeroes: 1,500 partitions filled at once stood still for 20 s.
    # A segment of 170 MB needs no more than this.
    "log.index.size.max.bytes": "524288",
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "8",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
}


@dataclass(frozen=True, slots=True)
class Security:
    """Logins and access control of an embedded broker: SCRAM-SHA-512 and Kafka's StandardAuthorizer.

    Attributes:
        users: passwords by name, created when the storage is formatted; later ones through the admin API.
        superuser: one of them; the broker logs in to itself as this one, and no ACL holds it back.
    """

    users: Mapping[str, str] = field(repr=False)
    superuser: str

    def scram_arguments(self) -> list[str]:
        """`--add-scram` arguments of StorageTool (KIP-900)."""
        return [
            argument
            for name, password in self.users.items()
            for argument in ("--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]")
        ]

    def properties(self) -> dict[str, str]:
        """SASL on both listeners, and the authorizer. The controller's login is static: SCRAM needs a running one."""
        package = "org.apache.kafka.common.security"
        password = self.users[self.superuser]
        login = f'required username="{self.superuser}" password="{password}"'
        return {
            "listener.security.protocol.map": "PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
            "sasl.mechanism.controller.protocol": "PLAIN",
            "listener.name.plaintext.sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.plaintext.scram-sha-512.sasl.jaas.config": f"{package}.scram.ScramLoginModule {login};",
            "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.controller.plain.sasl.jaas.config": (
                f'{package}.plain.PlainLoginModule {login} user_{self.superuser}="{password}";'
            ),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:{self.superuser}",
        }


def server_properties(
    port: int, controller_port: int, log_dir: Path, security: Security | None, extra: Mapping[str, str]
) -> str:
    """The file's text; what is in `extra` wins."""
    properties = NODE | {
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "log.dirs": str(log_dir),
    }
    if security:
        properties |= security.properties()
    return "".join(f"{name}={_escaped(value)}\n" for name, value in {**properties, **extra}.items())


def _escaped(value: str) -> str:
    """As java.util.Properties reads it: a backslash stands for itself only when doubled."""
    return value.replace("\\", "\\\\").replace("\n", "\\n")
