"""aiokafka's consumers and producers, set up as the bus needs them."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import (
    AuthenticationFailedError,
    GroupAuthorizationFailedError,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaConnectionError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    ProducerFenced,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnknownError,
    UnsupportedSaslMechanismError,
)
from aiokafka.producer.transaction_manager import TransactionState
from aiokafka.protocol.metadata import MetadataRequest

from bus.errors import BrokerUnavailableError, TopicUnknownError
from bus.kafka import connections, coordinator, login, metadata, protocol, record_batches

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from bus.config import Connection

__all__ = [
    "FENCED",
    "LOST_OFFSET",
    "MAX_BATCH_BYTES",
    "NOT_ENTITLED",
    "ConsumerRebalanceListener",
    "KafkaConnectionError",
    "KafkaError",
    "StickyPartitionAssignor",
    "TopicPartition",
    "commit_transaction",
    "committed",
    "consumer",
    "introduce",
    "missing_topics",
    "partitions",
    "producer",
    "refuse_fenced",
    "start",
    "started",
    "stop",
]

MAX_BATCH_BYTES: Final = 960 * 1024
"""Bytes of one produced record batch, its header included: within the broker's default limit (1,048,588). A request
takes one batch of a partition, so that smaller ones would cost more of them."""

MAX_REQUEST_BYTES: Final = 16 * 1024 * 1024
TRANSACTION_TIMEOUT_MS: Final = 10_000
"""A dead owner's open transaction blocks read-committed readers at most that long (KIP-98)."""

FENCED_STOP_SECONDS: Final = 1.0
"""A fenced or stuck producer waits for batches that nobody will take; its owner must end before others give it up."""

TAKEN_WITHIN_SECONDS: Final = 60.0
"""After that long a consumer whose records nobody takes may as well fetch others."""

LOGIN_REFUSED: Final = (AuthenticationFailedError, SaslAuthenticationFailed, UnsupportedSaslMechanismError)
LOGIN_MS: Final = 3_000
NOT_ENTITLED: Final = (GroupAuthorizationFailedError, TopicAuthorizationFailedError)

FENCED: Final = (ProducerFenced, InvalidProducerEpoch, InvalidProducerIdMapping)
LOST_OFFSET: Final = (NoOffsetForPartitionError, OffsetOutOfRangeError)

_log = structlog.get_logger()

connections.install()
coordinator.install()
metadata.install()
protocol.install()
record_batches.install()


def security(connection: Connection) -> dict[str, Any]:
    """Arguments of aiokafka's clients for the cluster and the login there."""
    arguments: dict[str, Any] = {
        "bootstrap_servers": connection.bootstrap,
        "security_protocol": connection.security_protocol,
    }
    if connection.security_protocol.startswith("SASL"):
        arguments["sasl_mechanism"] = connection.sasl_mechanism
        arguments["sasl_plain_username"] = connection.username
        arguments["sasl_plain_password"] = connection.password.get_secret_value()
    if connection.security_protocol.endswith("SSL"):
        arguments["ssl_context"] = ssl.create_default_context(cafile=connection.ca_file)
    return arguments


def consumer(connection: Connection, *topics: str, **settings: Any) -> AIOKafkaConsumer:
    """A consumer that reads committed records only, commits nothing by itself, and never guesses an offset."""
    chosen: dict[str, Any] = {
        "enable_auto_commit": False,
        "isolation_level": "read_committed",
        "auto_offset_reset": "none",
        "fetch_max_wait_ms": 500,
        "metadata_max_age_ms": 30_000,
    }
    return AIOKafkaConsumer(*topics, **security(connection), **(chosen | settings))


def producer(connection: Connection, transactional_id: str | None = None, **settings: Any) -> AIOKafkaProducer:
    """A producer with all acknowledgements; transactional when it is given an id."""
    chosen: dict[str, Any] = {
        "acks": "all",
        "compression_type": None if connection.compression == "none" else connection.compression,
        "enable_idempotence": True,
        "linger_ms": 0,
        "max_batch_size": MAX_BATCH_BYTES,
        "max_request_size": MAX_REQUEST_BYTES,
        "metadata_max_age_ms": 30_000,
        "request_timeout_ms": 20_000,
    }
    if transactional_id is not None:
        chosen |= {"transactional_id": transactional_id, "transaction_timeout_ms": TRANSACTION_TIMEOUT_MS}
    return AIOKafkaProducer(**security(connection), **(chosen | settings))


@asynccontextmanager
async def started(client: Any, connection: Connection, *, within: float = 10.0) -> AsyncIterator[Any]:
    """The client, started; stopped at the end whatever happens.

    Raises:
        BrokerUnavailableError: no broker answered within so many seconds.
    """
    try:
        await start(client, connection, within=within)
        yield client
    finally:
        await stop(client, within=within)


async def start(client: Any, connection: Connection, *, within: float = 10.0) -> None:
    """Start a consumer or producer; a transactional producer comes back with its id, the older owner fenced (KIP-98).

    Raises:
        BrokerUnavailableError: no broker answered within so many seconds.
    """
    try:
        async with asyncio.timeout(within):
            await client.start()
            if getattr(getattr(client, "_txn_manager", None), "transactional_id", None) is not None:
                # An empty transaction sends nothing, but beginning it waits for the producer id.
                await client.begin_transaction()
                await client.abort_transaction()
    except (KafkaConnectionError, TimeoutError) as error:
        await _refuse_login(connection)
        slow = isinstance(error, TimeoutError)
        raise BrokerUnavailableError(
            f"no answer within {within:.0f} s" if slow else "no connection can be made",
            where=connection.bootstrap,
            fix="start the broker, or name the right one with --bootstrap or KAFKA_BOOTSTRAP; check the login, if any",
        ) from None


async def _refuse_login(connection: Connection) -> None:
    """Tell a broker that refuses the login from one that is not there, which aiokafka only logs.

    Raises:
        LoginRefusedError: it is there, and does not let us in.
    """
    arguments = security(connection)
    for host, port, _ in collect_hosts(arguments.pop("bootstrap_servers")):
        try:
            reached = await create_conn(host, port, request_timeout_ms=LOGIN_MS, **arguments)
            try:
                await reached.send(MetadataRequest([]))
            finally:
                reached.close()
        except LOGIN_REFUSED:
            raise login.refused(connection, f"{host}:{port}") from None
        except KafkaConnectionError:
            if not connection.username and await _listens(host, port):
                raise login.refused(connection, f"{host}:{port}") from None
        except (KafkaError, OSError, TimeoutError):
            continue


async def _listens(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), LOGIN_MS / 1000)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def partitions(client: Any, topic: str, connection: Connection, *, within: float = 10.0) -> set[int]:
    """The numbers of a topic's partitions, once a started client knows them.

    Raises:
        TopicUnknownError: the topic is not there within so many seconds.
    """
    try:
        async with asyncio.timeout(within):
            # The public `partitions_for_topic` answers None for a topic that the client has not heard of yet.
            return set(await client._client._wait_on_metadata(topic))  # noqa: SLF001
    except (KafkaError, TimeoutError):
        hidden = f", or the login {connection.username!r} may not see it" if connection.username else ""
        raise TopicUnknownError(
            f"{topic} is not there{hidden}",
            where=connection.bootstrap,
            fix="the bus's operator sees the names with `bus topics`; `bus apply` makes topics and gives rights to"
            " them, until a subscription ends",
        ) from None


async def committed(
    reader: AIOKafkaConsumer, places: Iterable[TopicPartition]
) -> dict[TopicPartition, tuple[int, str]]:
    """The group's committed offsets with the text stored beside each; partitions without one are left out.

    aiokafka's public `committed` drops the text.
    """
    found = await reader._coordinator.fetch_committed_offsets(list(places))  # noqa: SLF001
    return {place: (each.offset, each.metadata) for place, each in found.items() if each.offset >= 0}


def fetch_together(consumer: AIOKafkaConsumer) -> None:
    """Let a started consumer fetch again only when all that it fetched was taken.

    By default aiokafka waits 0.1 s for that, then fetches of the other partitions alone. While those have nothing new,
    the broker holds that request back for `fetch_max_wait_ms`, and the client sends no other for the partitions that
    have: one hiccup of 0.1 s becomes one of 0.6 s. Not for a consumer that pauses partitions, which may hold records.
    """
    consumer._fetcher._prefetch_backoff = TAKEN_WITHIN_SECONDS  # noqa: SLF001  no argument of a consumer sets it


def fetch_at_most(consumer: AIOKafkaConsumer, size: int) -> None:
    """Let a started consumer ask for so many bytes at once, of all partitions together, from its next fetch on."""
    consumer._fetcher._fetch_max_bytes = size  # noqa: SLF001  an argument of a consumer, which is set once
    consumer._fetcher._max_partition_fetch_bytes = size  # noqa: SLF001  likewise


def refuse_group(consumer: AIOKafkaConsumer) -> None:
    """See that a consumer may join its group; before records are asked for, aiokafka tells of that nowhere.

    Raises:
        GroupAuthorizationFailedError: the group is not the login's.
    """
    consumer._coordinator.check_errors()  # noqa: SLF001


def introduce(client: AIOKafkaProducer | AIOKafkaConsumer, topics: Iterable[str]) -> None:
    """Let a client ask for these topics' metadata at once, not for one after the other as it comes to them."""
    inner = client.client if isinstance(client, AIOKafkaProducer) else client._client  # noqa: SLF001  it has no other
    for topic in topics:
        if inner.cluster.partitions_for_topic(topic) is None:
            inner.add_topic(topic)


async def missing_topics(producer: Any, topics: Iterable[str]) -> set[str] | None:
    """Which of these topics, as far as the producer has asked for them, the cluster says now that it does not have.

    None while it says nothing.
    """
    client = producer.client
    asked = client._topics & set(topics)  # noqa: SLF001  what it asks for is told nowhere else
    for _ in range(2):  # an update that is under way may have been asked for before
        if not await client.force_metadata_update():
            return None
    return {topic for topic in asked if client.cluster.partitions_for_topic(topic) is None}


async def commit_transaction(producer: Any) -> None:
    """Commit a producer's open transaction.

    Raises:
        ProducerFenced: another producer has its id now. While the broker is about to fence a transaction (its state
            PrepareEpochFence, before it aborts it), it answers that it does not know what is wrong.
        KafkaError: it was not committed.
    """
    try:
        await producer.commit_transaction()
    except KafkaError as error:
        if isinstance(error.__cause__, UnknownError):
            raise ProducerFenced from error
        raise


def refuse_fenced(producer: Any) -> None:
    """See that a transactional producer may still begin a transaction.

    aiokafka learns between two transactions that it was fenced, and then fails an assertion when the next one begins.

    Raises:
        ProducerFenced: another producer has its id now; this one is of no more use.
    """
    if _is_fenced(producer):
        raise ProducerFenced


def _is_fenced(client: Any) -> bool:
    """Whether a client is a producer whose transactional id another one has taken, as far as it has heard."""
    manager = getattr(client, "_txn_manager", None)
    return manager is not None and manager.state is TransactionState.FATAL_ERROR


def _is_stuck(client: Any) -> bool:
    """Whether a client is a producer whose transaction could be neither committed nor aborted."""
    manager = getattr(client, "_txn_manager", None)
    return manager is not None and manager.state in (
        TransactionState.IN_TRANSACTION,
        TransactionState.COMMITTING_TRANSACTION,
        TransactionState.ABORTING_TRANSACTION,
    )


class _FencedFutures:
    """Lets a loop say nothing of the futures of a fenced producer.

    aiokafka has one for each batch that it did not send, and one for the transaction, that nobody can look at; asyncio
    logs each as an error. That the producer was fenced is raised to its owner already.
    """

    def __init__(self, before: Any) -> None:
        self._before = before

    @classmethod
    def leave(cls, loop: asyncio.AbstractEventLoop) -> None:
        """From now on."""
        if not isinstance(loop.get_exception_handler(), cls):
            loop.set_exception_handler(cls(loop.get_exception_handler()))

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What the loop does with what nobody handles."""
        if isinstance(context.get("exception"), FENCED):
            return
        if self._before is None:
            loop.default_exception_handler(context)
        else:
            self._before(loop, context)


async def stop(client: Any, *, within: float = 10.0) -> None:
    """Stop a consumer or producer; with the broker gone, let go of it without the goodbye, which would never end."""
    fenced = _is_fenced(client)
    if fenced:
        _FencedFutures.leave(asyncio.get_running_loop())
    if fenced or _is_stuck(client):
        within = min(within, FENCED_STOP_SECONDS)
    try:
        async with asyncio.timeout(within):
            await client.stop()
    except (KafkaError, TimeoutError, asyncio.CancelledError) as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise  # it is we who are to end; else aiokafka hands out the end of a task of its own
        _log.info("kafka client let go without goodbye", error=type(error).__name__)
        if isinstance(client, AIOKafkaProducer):
            await client._sender.close()  # noqa: SLF001  its task would wait for the broker for ever
            await client.client.close()
