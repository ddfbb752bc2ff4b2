"""Topics, their settings and consumer groups' offsets, through Kafka's admin API. Every wait has an end."""

# ruff: noqa: SLF001  (librdkafka's own error codes begin with an underscore)

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    OffsetSpec,
    ResourceType,
)
from confluent_kafka.admin import NewTopic as ClientNewTopic

from bus.errors import BrokerUnavailableError, BusError, ConfigError
from bus.kafka import login

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from bus.config import Connection

T = TypeVar("T")

TIMEOUT_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 2.0
"""After so long without an answer it is looked whether the login was refused."""

POLL_SECONDS: Final = 0.02
TOPICS_A_REQUEST: Final = 200
"""The controller refuses a request that makes more than 10,000 metadata records; a topic of 8 partitions makes 10."""
OFFSETS_TRY_SECONDS: Final = 2.0
CHECK = "check that Kafka runs there, and the settings KAFKA_BOOTSTRAP, KAFKA_SECURITY_PROTOCOL, KAFKA_USERNAME"

# What a broker that cannot be reached looks like from librdkafka.
_UNREACHABLE: Final = {
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TRANSPORT,
    KafkaError._TIMED_OUT,
    KafkaError._RESOLVE,
    KafkaError._AUTHENTICATION,
    KafkaError._SSL,
    KafkaError.REQUEST_TIMED_OUT,
}

_NOT_ALLOWED: Final = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}

_COORDINATOR_IS_COMING: Final = {
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
}

_COORDINATOR_COMING: Final = {
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError._WAIT_COORD,
}


class KafkaRefusedError(BusError):
    """Kafka refused the request."""


@dataclass(frozen=True, slots=True)
class NewTopic:
    """A topic to create.

    Attributes:
        config: topic settings by Kafka's names, as text: `{"cleanup.policy": "compact"}`.
    """

    name: str
    partitions: int = 1
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as the cluster has it.

    Attributes:
        partitions: how many.
        config: the settings made for this topic; those that it takes from the cluster are left out.
        described: false if the login may see the topic, but not its settings.
    """

    partitions: int
    config: Mapping[str, str]
    described: bool = True


def client_settings(connection: Connection) -> dict[str, Any]:
    """The connection in librdkafka's names (TLS: the system's authorities unless a CA file is given)."""
    settings: dict[str, Any] = {
        "bootstrap.servers": connection.bootstrap,
        "security.protocol": connection.security_protocol,
        "log_level": 2,  # its own lines on standard error say nothing that our errors do not
    }
    if connection.ca_file:
        settings["ssl.ca.location"] = str(connection.ca_file)
    if connection.security_protocol.startswith("SASL"):
        settings["sasl.mechanism"] = connection.sasl_mechanism
        settings["sasl.username"] = connection.username
        settings["sasl.password"] = connection.password.get_secret_value()
    return settings


class Admin:
    """The admin API of one cluster.

    Every method raises BrokerUnavailableError when the cluster does not answer within `timeout` seconds, and
    KafkaRefusedError when it answers with an error; both say where and what to do.
    """

    def __init__(self, connection: Connection, *, timeout: float = TIMEOUT_SECONDS) -> None:
        self._connection = connection
        self._where = connection.bootstrap
        self._timeout = timeout
        self._codes: set[int] = set()
        codes = self._codes
        told = {"error_cb": lambda error: codes.add(error.code())}
        try:
            self._client = AdminClient(client_settings(connection) | told)
        except KafkaException as error:
            raise ConfigError(error.args[0].str(), where=self._where, fix=CHECK) from None

    def topics(self, *, also_undescribed: bool = False) -> dict[str, TopicState]:
        """Every topic by name, Kafka's internal ones included.

        Args:
            also_undescribed: topics whose settings are not for this login, too; otherwise they are an error.
        """
        partitions = self._partitions()
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in partitions]
        if not resources:
            return {}
        futures = self._client.describe_configs(resources, request_timeout=self._timeout)
        but = KafkaError.TOPIC_AUTHORIZATION_FAILED if also_undescribed else None
        found = {}
        for resource, future in futures.items():
            settings = self._result(future, resource.name, but=but)
            own = {} if settings is None else _own_settings(settings)
            found[resource.name] = TopicState(partitions[resource.name], own, described=settings is not None)
        return found

    def topic_ids(self, names: Collection[str]) -> dict[str, str]:
        """Kafka's id of each of these topics that exists (KIP-516); one made anew under its old name has another."""
        found: dict[str, str] = {}
        ordered = sorted(names)
        for start in range(0, len(ordered), TOPICS_A_REQUEST):
            asked = TopicCollection(ordered[start : start + TOPICS_A_REQUEST])
            for name, future in self._client.describe_topics(asked, request_timeout=self._timeout).items():
                described = self._result(future, name, but=KafkaError.UNKNOWN_TOPIC_OR_PART)
                if described is not None:
                    found[name] = str(described.topic_id)
        return found

    def create_topics(self, topics: Sequence[NewTopic]) -> None:
        """Create those that do not exist, and wait until the broker shows each with all its partitions led."""
        for start in range(0, len(topics), TOPICS_A_REQUEST):
            self._create_topics(topics[start : start + TOPICS_A_REQUEST])

    def _create_topics(self, topics: Sequence[NewTopic]) -> None:
        wanted = [
            ClientNewTopic(topic.name, num_partitions=topic.partitions, config=dict(topic.config)) for topic in topics
        ]
        futures = self._client.create_topics(wanted, request_timeout=self._timeout)
        for name, future in futures.items():
            self._result(future, name, but=KafkaError.TOPIC_ALREADY_EXISTS)
        names = {topic.name for topic in topics}
        self._wait(lambda: names <= self._led_topics(), f"{len(names)} new topics to be led")

    def delete_topics(self, names: Collection[str]) -> None:
        """Delete those that exist, and wait until the broker no longer shows them."""
        if not names:
            return
        for name, future in self._client.delete_topics(list(names), request_timeout=self._timeout).items():
            self._result(future, name, but=KafkaError.UNKNOWN_TOPIC_OR_PART)
        self._wait(lambda: not self._partitions().keys() & set(names), f"{len(names)} topics to disappear")

    def alter_topic_config(self, topic: str, config: Mapping[str, str | None]) -> None:
        """Change these settings of the topic and no other; None takes the topic's own away again."""
        entries = [
            ConfigEntry(
                name,
                value or "",
                incremental_operation=AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET,
            )
            for name, value in config.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        for future in self._client.incremental_alter_configs([resource], request_timeout=self._timeout).values():
            self._result(future, topic)

    def record_counts(self, names: Collection[str]) -> dict[str, int]:
        """Offsets between the oldest and the newest record of each topic: what it holds, transaction marks included."""
        places = [TopicPartition(name, n) for name, count in self._partitions().items() for n in range(count)]
        places = [place for place in places if place.topic in names]
        counts = dict.fromkeys(names, 0)
        if not places:
            return counts
        for spec, sign in ((OffsetSpec.latest(), 1), (OffsetSpec.earliest(), -1)):
            asked = self._client.list_offsets(dict.fromkeys(places, spec), request_timeout=self._timeout)
            for place, future in asked.items():
                counts[place.topic] += sign * self._result(future, place.topic).offset
        return counts

    def committed(self, group: str) -> dict[tuple[str, int], int]:
        """The group's committed offsets by topic and partition; empty if it has none."""
        wanted = [TopicPartition(name, number) for name, count in self._partitions().items() for number in range(count)]
        if not wanted:
            return {}
        with self._member(group) as consumer:
            found = self._of_group(group, lambda: consumer.committed(wanted, timeout=self._timeout))
        return {(position.topic, position.partition): position.offset for position in found if position.offset >= 0}

    def set_committed(self, group: str, offsets: Mapping[tuple[str, int], int]) -> None:
        """Set the group's committed offsets. Kafka refuses it while the group has members."""
        if not offsets:
            return
        wanted = [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]
        with self._member(group) as consumer:
            done = self._of_group(group, lambda: consumer.commit(offsets=wanted, asynchronous=False))
        for position in done:
            if position.error:
                raise KafkaRefusedError(position.error.str(), where=f"{position.topic}/{position.partition}")

    @contextlib.contextmanager
    def _member(self, group: str) -> Iterator[Consumer]:
        """A consumer that never joins: it only asks the group's coordinator.

        Not AdminClient.list_consumer_group_offsets: in confluent-kafka 2.16 it ends the process (SIGSEGV) now and then
        while the coordinator is still loading, that is on a young broker.
        """
        consumer = Consumer(client_settings(self._connection) | {"group.id": group, "enable.auto.commit": False})
        try:
            yield consumer
        finally:
            consumer.close()

    def _of_group(self, group: str, ask: Callable[[], Any]) -> Any:
        """The coordinator's answer; a coordinator that is being elected or loaded is waited for."""
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                return ask()
            except KafkaException as error:
                if error.args[0].code() not in _COORDINATOR_COMING or time.monotonic() > deadline:
                    raise self._translated(error, f"group {group}", "stop the members of the group first") from error
            time.sleep(POLL_SECONDS)

    def partition_budget(self) -> int:
        """How many partitions the cluster has now; about 30,000 is what one node bears with Linux's defaults."""
        return sum(self._partitions().values())

    def _partitions(self) -> dict[str, int]:
        return {name: len(topic.partitions) for name, topic in self._metadata().topics.items()}

    def _led_topics(self) -> set[str]:
        topics = self._metadata().topics.items()
        return {
            name for name, topic in topics if topic.partitions and all(p.leader >= 0 for p in topic.partitions.values())
        }

    def _metadata(self) -> Any:
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                return self._client.list_topics(timeout=min(ANSWER_SECONDS, self._timeout))
            except KafkaException as error:
                waits = error.args[0].code() in _UNREACHABLE and not self._is_login_refused()
                if not waits or time.monotonic() > deadline:
                    raise self._translated(error, "", "") from error

    def _result(self, future: Future[T], what: str, *, but: int | None = None) -> Any:
        """The future's result; None for the error code `but`."""
        try:
            return future.result(self._timeout + 1)
        except KafkaException as error:
            if error.args[0].code() == but:
                return None
            raise self._translated(error, what, "") from error
        except TimeoutError as error:
            raise self._unavailable(what) from error

    def _translated(self, error: KafkaException, what: str, fix: str) -> BusError:
        cause: KafkaError = error.args[0]
        if cause.code() in _UNREACHABLE:
            return self._unavailable(cause.str())
        if cause.code() in _NOT_ALLOWED:
            fix = f"the login {self._connection.username!r} may not do that; the bus's own may: see KAFKA_USERNAME"
        return KafkaRefusedError(cause.str(), where=f"{self._where} {what}".strip(), fix=fix)

    def _unavailable(self, detail: str) -> BrokerUnavailableError:
        """Why there was no answer: the broker is not there, or it does not let us in."""
        refused = self._is_login_refused()
        self._codes.clear()
        if not refused:
            return BrokerUnavailableError(detail, where=self._where, fix=CHECK)
        return login.refused(self._connection, self._where)

    def _is_login_refused(self) -> bool:
        self._client.poll(0)  # it tells of what a request that timed out does not
        return KafkaError._AUTHENTICATION in self._codes

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + self._timeout
        while not condition():
            if time.monotonic() > deadline:
                raise self._unavailable(f"waited {self._timeout:.0f} s for {what}")
            time.sleep(POLL_SECONDS)


def _coordinator_is_coming(cause: BaseException | None) -> bool:
    """Whether the group's coordinator is only just being made or moved."""
    return isinstance(cause, KafkaException) and cause.args[0].code() in _COORDINATOR_IS_COMING


def _own_settings(entries: Mapping[str, ConfigEntry]) -> dict[str, str]:
    own = ConfigSource.DYNAMIC_TOPIC_CONFIG.value
    return {name: entry.value or "" for name, entry in entries.items() if entry.source == own}
