"""Who may do what on a cluster: SCRAM users and ACLs, through Kafka's admin API. Every wait has an end."""

# ruff: noqa: SLF001  (librdkafka's own error codes begin with an underscore)

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError as ClientKafkaError
from aiokafka.protocol.admin import DescribeAclsRequest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from bus.errors import BrokerUnavailableError
from bus.kafka import clients
from bus.kafka.admin import CHECK, TIMEOUT_SECONDS, Admin, KafkaRefusedError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from concurrent.futures import Future
    from typing import Any

    from bus.config import Connection

ResourceKind = Literal["topic", "group", "transactional_id", "cluster"]

ITERATIONS: Final = 4096
"""Of SCRAM's key derivation: Kafka's own least. More only protects guessable passwords; ours are random."""

ACLS_A_REQUEST: Final = 500

_KINDS: Final[Mapping[ResourceKind, ResourceType]] = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional_id": ResourceType.TRANSACTIONAL_ID,
    "cluster": ResourceType.BROKER,
}
_KIND_OF: Final = {kind: name for name, kind in _KINDS.items()}
_KEEPS_NONE: Final = {KafkaError.UNSUPPORTED_VERSION, KafkaError._UNSUPPORTED_FEATURE}


@dataclass(frozen=True, slots=True, order=True)
class Acl:
    """One thing that a principal may do, from any host.

    Attributes:
        principal: the user's name, without Kafka's `User:`; `*` is everybody.
        operation: Kafka's name of it (`READ`). READ and WRITE include DESCRIBE.
        kind: of what.
        name: of which one; `*` with no prefix is every one.
        prefixed: `name` is how their names begin.
        host: `*`, or the only host.
    """

    principal: str
    operation: str
    kind: ResourceKind
    name: str
    prefixed: bool = False
    host: str = "*"


async def checks_acls(connection: Connection) -> bool:
    """Whether the cluster has an authorizer. Asked through aiokafka: librdkafka 2.16 swallows this answer's error.

    Raises:
        KafkaRefusedError: it has one, and this login may not see the ACLs.
        BrokerUnavailableError: the cluster does not answer.
    """
    whatever: Any = None
    everything = DescribeAclsRequest(
        ResourceType.ANY.value,
        whatever,
        ResourcePatternType.ANY.value,
        whatever,
        whatever,
        AclOperation.ANY.value,
        AclPermissionType.ANY.value,
    )
    client = AIOKafkaClient(**clients.security(connection))
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await client.bootstrap()
            answer = await client.send(client.get_random_node(), everything)
    except (ClientKafkaError, TimeoutError) as error:
        raise BrokerUnavailableError(type(error).__name__, where=connection.bootstrap, fix=CHECK) from None
    finally:
        await client.close()
    if answer.error_code == KafkaError.CLUSTER_AUTHORIZATION_FAILED:
        raise KafkaRefusedError(
            f"the login {connection.username!r} may not see who may do what",
            where=connection.bootstrap,
            fix="log in as the bus's own user (KAFKA_USERNAME), or give this one ALTER and DESCRIBE on the cluster",
        )
    return bool(answer.error_code != KafkaError.SECURITY_DISABLED)


class Principals(Admin):
    """The part of the admin API that is about principals; only for a login that `checks_acls` has answered.

    Errors are those of Admin. (To any other login librdkafka 2.16 shows no ACLs, and crashes when asked for users.)
    """

    def acls(self) -> frozenset[Acl]:
        """Everything that is allowed."""
        everything = AclBindingFilter(
            ResourceType.ANY,
            None,
            ResourcePatternType.ANY,
            None,
            None,
            AclOperation.ANY,
            AclPermissionType.ALLOW,
        )
        future = self._client.describe_acls(everything, request_timeout=self._timeout)
        found = self._result(future, "its ACLs")
        return frozenset(_acl(each) for each in found if each.restype in _KIND_OF and each.principal[:5] == "User:")

    def allow(self, acls: Collection[Acl]) -> None:
        """Give them, and wait until the broker acts by them."""
        ordered = sorted(acls)
        for start in range(0, len(ordered), ACLS_A_REQUEST):
            asked = [_as(AclBinding, acl) for acl in ordered[start : start + ACLS_A_REQUEST]]
            for future in self._client.create_acls(asked, request_timeout=self._timeout).values():
                self._result(future, "a new ACL")
        if ordered:
            self._wait(lambda: self.acls() >= set(ordered), f"{len(ordered)} ACLs to be in force")

    def withdraw(self, acls: Collection[Acl]) -> None:
        """Take them away if they are there, and wait until the broker acts by it."""
        ordered = sorted(acls)
        for start in range(0, len(ordered), ACLS_A_REQUEST):
            asked = [_as(AclBindingFilter, acl) for acl in ordered[start : start + ACLS_A_REQUEST]]
            for future in self._client.delete_acls(asked, request_timeout=self._timeout).values():
                self._result(future, "an ACL to delete")
        if ordered:
            self._wait(lambda: not self.acls() & set(ordered), f"{len(ordered)} ACLs to be gone")

    def users(self) -> frozenset[str] | None:
        """The SCRAM users; None on a cluster that keeps none."""
        future: Any = self._client.describe_user_scram_credentials(request_timeout=self._timeout)
        try:
            return frozenset(future.result(self._timeout + 1))
        except KafkaException as error:
            if error.args[0].code() in _KEEPS_NONE:
                return None
            raise self._translated(error, "its users", "") from error

    def put_user(self, name: str, password: str) -> None:
        """Make a user, or give it this password, and wait until it can log in."""
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, ITERATIONS)
        self._alter_user(name, UserScramCredentialUpsertion(name, info, password.encode()))
        self._wait(lambda: name in (self.users() or ()), f"user {name}")

    def delete_user(self, name: str) -> None:
        """Delete a user if there is one. Its open connections stay; what they may do is what ACLs allow."""
        deletion = UserScramCredentialDeletion(name, ScramMechanism.SCRAM_SHA_512)
        self._alter_user(name, deletion, but=KafkaError.RESOURCE_NOT_FOUND)

    def _alter_user(self, name: str, alteration: Any, *, but: int | None = None) -> None:
        asked: dict[str, Future[None]] = self._client.alter_user_scram_credentials(
            [alteration], request_timeout=self._timeout
        )
        self._result(asked[name], f"user {name}", but=but)


AclKind = TypeVar("AclKind", AclBinding, AclBindingFilter)


def _as(kind: type[AclKind], acl: Acl) -> AclKind:
    """The client's word for an ACL: one to be given, or a filter that finds that one alone."""
    return kind(
        _KINDS[acl.kind],
        acl.name,
        _pattern(acl),
        f"User:{acl.principal}",
        acl.host,
        AclOperation[acl.operation],
        AclPermissionType.ALLOW,
    )


def _pattern(acl: Acl) -> ResourcePatternType:
    return ResourcePatternType.PREFIXED if acl.prefixed else ResourcePatternType.LITERAL


def _acl(binding: AclBinding) -> Acl:
    return Acl(
        binding.principal.removeprefix("User:"),
        binding.operation.name,
        _KIND_OF[binding.restype],
        binding.name,
        binding.resource_pattern_type is ResourcePatternType.PREFIXED,
        binding.host,
    )
