"""Lanes: fixed shares of a stage's input partitions, and who owns them.

Workers share the lanes out through a consumer group on `_bus.lanes`, whose partition N stands for lane N of every
stage; the lane then assigns its input partitions by hand. So a new dataset causes no rebalance, and one transaction
covers many quiet topics.
"""

from __future__ import annotations

import asyncio
import traceback
import zlib
from typing import TYPE_CHECKING, Any, Final

import structlog

from bus.errors import BrokerUnavailableError, BusError, FencedError, LostPositionError, in_a_line
from bus.kafka import clients

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bus.config import Connection
    from bus.pipeline.loop import LaneLoop

_log = structlog.get_logger()

LANES_TOPIC: Final = "_bus.lanes"
WORKERS_GROUP: Final = "_bus.workers"
SESSION_TIMEOUT_MS: Final = 6_000
"""A killed worker's lanes are given to others after that; with it, data flows again within 15 s."""


def lane_of(topic: str, partition: int, lanes: int) -> int:
    """The lane of an input partition, the same on every machine and for ever.

    The topic's CRC-32 says where its partition 0 is; the others follow round, so that a topic is spread evenly.
    """
    return (zlib.crc32(topic.encode()) + partition) % lanes


def share(topics: Mapping[str, int], lane: int, lanes: int) -> frozenset[tuple[str, int]]:
    """A lane's input partitions.

    Args:
        topics: number of partitions by topic.
        lane: from 0.
        lanes: how many there are.
    """
    return frozenset(
        (topic, partition)
        for topic, partitions in topics.items()
        for partition in range(partitions)
        if lane_of(topic, partition, lanes) == lane
    )


class LaneKeeper:
    """Runs the lanes that this worker owns, as the group's rebalances tell.

    Args:
        connection: the cluster.
        lane_loops: makes the loops of a lane, one per stage that has work there.
    """

    def __init__(self, connection: Connection, lane_loops: Callable[[int], Iterable[LaneLoop]]) -> None:
        self._connection = connection
        self._lane_loops = lane_loops
        self._running: dict[int, tuple[list[LaneLoop], asyncio.Task[None]]] = {}

    @property
    def lanes(self) -> list[int]:
        """The lanes that run here."""
        return sorted(self._running)

    @property
    def failures(self) -> dict[int, str]:
        """Lane → what it failed of; until it goes on, or another worker has it."""
        return self._told(lambda loop: loop.failure)

    @property
    def waiting(self) -> dict[int, str]:
        """Lane → why it opens again and again without going on."""
        return self._told(lambda loop: loop.waits_for)

    def _told(self, tell: Callable[[LaneLoop], str]) -> dict[int, str]:
        found = {}
        for lane, (loops, _) in sorted(self._running.items()):
            if told := [f"{loop.lane.stage}: {text}" for loop in loops if (text := tell(loop))]:
                found[lane] = "; ".join(told)
        return found

    @property
    def loops(self) -> list[LaneLoop]:
        """The loops that run here."""
        return [loop for loops, _ in self._running.values() for loop in loops]

    async def run(self) -> None:
        """Take part in the sharing out of lanes until cancelled; then end every lane after its transaction."""
        try:
            while True:
                try:
                    await self._take_part()
                except (clients.KafkaError, BrokerUnavailableError, OSError) as error:
                    _log.warning("lane sharing starts again", error=type(error).__name__)
                    await asyncio.sleep(1.0)
        finally:
            await self._keep(frozenset())

    async def _take_part(self) -> None:
        consumer = clients.consumer(
            self._connection,
            group_id=WORKERS_GROUP,
            auto_offset_reset="latest",
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=SESSION_TIMEOUT_MS // 4,
            rebalance_timeout_ms=SESSION_TIMEOUT_MS,
            partition_assignment_strategy=(clients.StickyPartitionAssignor,),
        )
        async with clients.started(consumer, self._connection):
            consumer.subscribe([LANES_TOPIC], listener=_Listener(self._keep))
            while True:
                await consumer.getmany(timeout_ms=1000)

    async def _keep(self, lanes: frozenset[int]) -> None:
        """Run exactly these lanes."""
        leaving = [self._running.pop(lane) for lane in self._running.keys() - lanes]
        for loops, _ in leaving:
            for loop in loops:
                loop.stop()
        if leaving:
            await asyncio.wait([task for _, task in leaving])
        for lane in sorted(lanes - self._running.keys()):
            loops = list(self._lane_loops(lane))
            self._running[lane] = loops, asyncio.create_task(self._run(lane, loops), name=f"lane-{lane}")
        if lanes:
            _log.info("lanes owned", lanes=sorted(lanes))

    async def _run(self, lane: int, loops: list[LaneLoop]) -> None:
        await asyncio.gather(*(self._run_loop(lane, loop) for loop in loops))

    async def _run_loop(self, lane: int, loop: LaneLoop) -> None:
        while not loop.stopping:
            try:
                await loop.run()
            except FencedError:
                # Another worker took the lane before this one heard of it. If the group still gives it to us, the
                # other one was the zombie: take it back.
                _log.warning("lane fenced", lane=lane)
                await asyncio.sleep(SESSION_TIMEOUT_MS / 2000)
            except LostPositionError as error:
                loop.failure = in_a_line(error)
                _log.error("lane FAILED", lane=lane, reason=error.detail, where=error.where)
                await asyncio.sleep(SESSION_TIMEOUT_MS / 1000)
            except Exception as error:  # noqa: BLE001  a fault of ours; the lane must neither end unseen nor skip records
                loop.failure = in_a_line(error)
                where = error.where if isinstance(error, BusError) else ""
                _log.error("lane FAILED", lane=lane, error=type(error).__name__, where=where, stack=_places(error))
                await asyncio.sleep(SESSION_TIMEOUT_MS / 1000)


def _places(error: BaseException) -> list[str]:
    """Where an error came from, without any value: file and line of the innermost frames."""
    return [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-5:]]


class _Listener(clients.ConsumerRebalanceListener):
    """Hands the assignment on. A revocation alone ends nothing: the next assignment says what goes."""

    def __init__(self, keep: Callable[[frozenset[int]], Any]) -> None:
        self._keep = keep

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """Nothing is taken away until the next assignment is known."""

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Run these lanes."""
        await self._keep(frozenset(place.partition for place in assigned))
