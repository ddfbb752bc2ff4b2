"""Heartbeats: every few seconds a process says that it lives and how far it is, so that quiet is told from dead.

An adapter's stands in `_bus.positions.<dept>` under a key of its own, because a department's adapters may write nowhere
else; a worker's in `_bus.health`. Neither is a part of any transaction: a heartbeat says what was the case, positions
say what holds. It costs one small produce request in 5 s.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

import structlog

from bus.errors import BrokerUnavailableError
from bus.kafka import clients

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from bus.config import Connection
    from bus.pipeline.notices import Told

HEARTBEAT_SECONDS: Final = 5.0
TICK_SECONDS: Final = 1.0
"""How often it is looked whether there is news that will not wait for the next heartbeat."""

LAST_SECONDS: Final = 2.0
"""How long the last heartbeat of a process that ends may take."""

_ADAPTER: Final = "heartbeat/"
_WORKER: Final = "worker/"

_log = structlog.get_logger()


def adapter_key(adapter: str) -> str:
    """The key of an adapter's heartbeat; no adapter's name holds a `/`, so that it is no position's key."""
    return _ADAPTER + adapter


def worker_key(worker: str) -> str:
    """The key of a worker's heartbeat."""
    return _WORKER + worker


def adapter_of(key: str) -> str | None:
    """The adapter whose heartbeat has this key; None if it is no heartbeat's."""
    return key.removeprefix(_ADAPTER) if key.startswith(_ADAPTER) else None


def this_host() -> str:
    """The machine's name."""
    return socket.gethostname()


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """What every heartbeat says: who, where, when (seconds since 1970), and how it is."""

    host: str = field(default_factory=this_host)
    pid: int = field(default_factory=os.getpid)
    time: float = field(default_factory=time.time)
    state: str = "running"
    transactions: int = 0

    @property
    def news(self) -> object:
        """What is told within a second when it changes."""
        return self.state

    def encode(self) -> bytes:
        """JSON."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def decode(cls, value: bytes) -> Self | None:
        """The inverse of `encode`; fields that a newer version added are left out. None for what is no heartbeat."""
        try:
            found = json.loads(value)
            return cls(**{name: value for name, value in found.items() if name in cls.__dataclass_fields__})
        except (ValueError, TypeError, AttributeError):
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterBeat(Beat):
    """An adapter's.

    Attributes:
        adapter: name of the instance.
        datasets: that it publishes.
        state: starting, running, snapshot (a full one is under way), waiting (it starts again after an error), stopped
            or failed (its process has ended).
        position: how far it has published, in the source's own terms; empty before the first commit.
        position_time: source commit time of that, seconds since 1970.
        caught_up: when it last ran with nothing pending: all that its source had committed by then is published.
        pending: changes that it has read and that are not on Kafka yet.
        lag_seconds: how old the changes are that it publishes now: 0.0 when it has caught up; None before it has
            published anything, and in a snapshot.
        changes: published since the process began.
        error: class of the last error, empty if there was none; never its text.
        notices: dataset → what of its source needs a person now; see `bus.pipeline.notices`.
    """

    adapter: str = ""
    datasets: list[str] = field(default_factory=list)
    position: str = ""
    position_time: float | None = None
    caught_up: float | None = None
    pending: int = 0
    lag_seconds: float | None = None
    changes: int = 0
    error: str = ""
    notices: Told = field(default_factory=dict)

    @property
    def news(self) -> object:
        """Its state, and why; and what needs a person."""
        return self.state, self.error, self.notices


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerBeat(Beat):
    """A worker's.

    Attributes:
        worker: its name, `<host>/<pid>`.
        lanes: that it owns.
        failures: lane → what it failed of.
        waiting: lane → why it opens again and again without going on.
        filling: topic of a view that is being filled → records scanned, records to be scanned, of this worker's lanes.
        unrouted: topic of a view to which it routes nothing → why, and what to do.
        records, outputs, rejects: since the process began.
    """

    worker: str = ""
    lanes: list[int] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    filling: dict[str, list[int]] = field(default_factory=dict)
    unrouted: dict[str, list[str]] = field(default_factory=dict)
    records: int = 0
    outputs: int = 0
    rejects: int = 0

    @property
    def news(self) -> object:
        """Its state, what it owns, fails of and waits for, how the views are filled, and which are not."""
        return self.state, self.lanes, self.failures, self.waiting, self.filling, self.unrouted


class Heart:
    """Writes a heartbeat at once, then every few seconds or when there is news, and a last one at its end.

    Args:
        connection: the cluster.
        topic: where to.
        key: its record's.
        tell: asked for every heartbeat.

    While Kafka does not answer, heartbeats are left out; that is what silence means.
    """

    def __init__(self, connection: Connection, topic: str, key: str, tell: Callable[[], Beat]) -> None:
        self.last: float = 0.0
        """When a heartbeat was last written, seconds since 1970."""
        self._connection = connection
        self._topic = topic
        self._key = key.encode()
        self._tell = tell
        self._producer: Any = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to beat."""
        self._task = asyncio.create_task(self._run(), name="heartbeat")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Beat a last time, unless it was silenced."""
        if self._task is not None:
            await self.silence()
            await self._last()
        if self._producer is not None:
            await clients.stop(self._producer, within=LAST_SECONDS)

    async def silence(self) -> None:
        """No heartbeat from now on, not even a last one: another process speaks under this key."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _run(self) -> None:
        beaten, news = float("-inf"), object()
        while True:
            began, beat = time.monotonic(), self._tell()
            if began >= beaten + HEARTBEAT_SECONDS or beat.news != news:
                try:
                    await self._beat(beat)
                    beaten, news = began, beat.news
                except (BrokerUnavailableError, clients.KafkaError, TimeoutError, OSError) as error:
                    _log.warning("no heartbeat", topic=self._topic, error=type(error).__name__)
                    await asyncio.sleep(HEARTBEAT_SECONDS)
            await asyncio.sleep(max(0.0, began + TICK_SECONDS - time.monotonic()))

    async def _last(self) -> None:
        try:
            async with asyncio.timeout(LAST_SECONDS):
                await self._beat(self._tell())
        except (BrokerUnavailableError, clients.KafkaError, TimeoutError, OSError):
            return  # the process ends; its silence will be noticed

    async def _beat(self, beat: Beat) -> None:
        if self._producer is None:
            producer = clients.producer(self._connection, acks=1, enable_idempotence=False)
            try:
                await clients.start(producer, self._connection)
            except BaseException:
                await clients.stop(producer, within=LAST_SECONDS)
                raise
            self._producer = producer
        async with asyncio.timeout(HEARTBEAT_SECONDS):
            await self._producer.send_and_wait(self._topic, beat.encode(), key=self._key)
        self.last = time.time()
