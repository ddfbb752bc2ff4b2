"""The loop: read a batch, apply a stage, write outputs and input offsets in one Kafka transaction; over and over.

A lane opens in one order (design §3): init producer, which fences the previous owner and ends its open transaction →
committed offsets → what its stage remembers → consume. After any Kafka error it closes and opens again the same way:
there is one path, and nothing that a lane remembers outlives a transaction that failed.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog

from bus.errors import DependencyError, FencedError, LostPositionError, SchemaNotFoundError, in_a_line
from bus.kafka import clients, record_batches
from bus.kafka.native import Records
from bus.pipeline import native, transaction
from bus.pipeline.batch import OutputBatch
from bus.pipeline.codec import MissingSchemaError, UnknownSchemaError
from bus.pipeline.counts import Tally, WorkerCounts
from bus.pipeline.fetch_budget import FetchBudget
from bus.pipeline.normalise import Normalise
from bus.pipeline.open_rejects import recall
from bus.pipeline.redrive import LaneRedrives
from bus.pipeline.routing import Routing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence

    from bus.config import Connection
    from bus.kafka.registry_client import SchemaRegistry
    from bus.pipeline.codec import Decoders
    from bus.pipeline.command import Redrive
    from bus.pipeline.entity_views import EntityViews
    from bus.pipeline.normalise import Normalisers
    from bus.pipeline.open_rejects import OpenRejects
    from bus.pipeline.record import InputRecord, Made, Stage
    from bus.pipeline.share_of_time import ShareOfTime

    Fetched = record_batches.FetchedBatch | Sequence[InputRecord]
    Polled = dict[Any, list[Fetched]]
    """Partition → its next records, in one or several batches or sequences."""

_T = TypeVar("_T")
_log = structlog.get_logger()

MAX_RECORDS: Final = 4_000
"""Records of one transaction that a lane does not exceed knowingly: enough that its fixed cost (about 2 ms of CPU)
hardly counts for the reference. Of batches it takes those that it was given, see `FETCH_BYTES`."""

PACE_SECONDS: Final = 0.03
"""Shortest time between two commits of a lane while it keeps up: bounds the transactions per second."""

REST_SECONDS: Final = 0.01
"""Shortest time from a commit to the next transaction: one begun while the broker still writes the markers of the last
is told to come again after 20 ms."""

UNDER_WAY: Final = 4
LONGEST_SLOW_PACE_SECONDS: Final = 0.2
"""The pace of a lane whose transactions take long, if records wait for it: so many times as long, up to a limit. Where
broker and worker are at the end of their strength, each transaction less makes all others faster. A lane that waits for
its records, as those do that route what others have normalised, has its pace from where they come from."""

PACE_SECONDS_PER_BATCH: Final = 0.003
LONGEST_PACE_SECONDS: Final = 1.0
"""The pace of a lane whose transactions write to many topics: each adds so much, up to a limit."""

FEW_INPUTS: Final = 16
PACE_SECONDS_PER_INPUT: Final = 0.005
LONGEST_QUIET_PACE_SECONDS: Final = 0.25
"""The pace of a lane that reads more than a few quiet partitions: a transaction then takes more of them along. Sixteen
lanes of 62 each make 60 small transactions a second, and not 400, which would be more than a small broker can bear."""

MANY_INPUTS: Final = 32

REOPENED_OFTEN: Final = 3
"""So often a lane opens again after an error, within some two seconds, before it is said that it cannot go on."""

WHOLE_TURN: Final = 1_000
"""As `transaction.TURN`, of records that the compiled code takes: a millisecond or two."""

LARGE_STEPS: Final = 2

FETCH_BYTES: Final = 4 * 1024 * 1024
"""What a lane fetches at once at most, and with that its largest transaction, if there are few that are behind: see
`FetchBudget`. A larger transaction costs less CPU for each record (measured: 4 MB an eighth less than 2, 6 MB a fifth)
and more memory (10 to 15 MB for each of the fetch)."""

ROUTED_FETCH_BYTES: Final = 3 * 1024 * 1024
"""As `FETCH_BYTES`, of a lane that routes: its outputs are several times what it takes."""

SCAN_POLL_MS: Final = 20
"""How long a lane that fills new views waits for live records, instead of `POLL_MS`."""
POLL_MS: Final = 200

ANSWER_MS: Final = 20
"""How long a lane waits for what came since its consumer asked for the records at hand: as long as a broker that has
much to do may take to answer. See `_polled`."""

FRESH_MS: Final = 5
"""How long a lane waits for what came on its other partitions besides records that it has waited for."""

RECOMMIT_SECONDS: Final = 86_400.0
"""Offsets of quiet partitions are committed again: the broker forgets them after 7 days by default."""


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane of a stage, as Kafka knows it.

    Attributes:
        transactional_id: the same for every owner.
        group: the consumer group that holds the stage's offsets.
        number: of the lane.
    """

    transactional_id: str
    group: str
    number: int = 0

    @property
    def stage(self) -> str:
        """Its stage, as people call it."""
        return self.group.removeprefix("_bus.")


@dataclass(frozen=True, slots=True)
class Work:
    """What a lane does as of one state of the catalogue.

    Attributes:
        inputs: its input partitions.
        normalisers: of a lane that normalises: raw topic → its dataset's normalisers.
        entities: of a lane that routes: shared topic → its entity's views.
    """

    inputs: frozenset[tuple[str, int]]
    normalisers: Normalisers = field(default_factory=dict)
    entities: Mapping[str, EntityViews] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shared:
    """What the lanes of a process share.

    Attributes:
        registry: where writer schemas come from.
        decoders: made of them.
        scan_time: what the lanes may spend together on filling new views.
        look_again: sees to it that the lanes' work knows which topics there are; asked when one seems to be gone.
        counts: what the process has done; read by health and metrics.
        commands: what is asked of lanes now, by commands; never older than the lanes' work.
        fetch_budget: what the lanes fetch at once.
        large_steps: the lanes that take a large transaction at the same time: while one waits for the broker another
            computes, and of more only their memory would be noticed.
    """

    registry: SchemaRegistry
    decoders: Decoders
    scan_time: ShareOfTime
    look_again: Callable[[], Awaitable[None]]
    counts: WorkerCounts = field(default_factory=WorkerCounts)
    commands: Callable[[], Sequence[Redrive]] = tuple
    fetch_budget: FetchBudget = field(default_factory=FetchBudget)
    large_steps: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LARGE_STEPS))


class LaneLoop:
    """One lane of one stage.

    Args:
        connection: the cluster.
        lane: which one.
        work: the lane's work now; asked between batches, so that a change of the catalogue needs no restart.
        shared: with the other lanes of the process.
    """

    def __init__(self, connection: Connection, lane: Lane, *, work: Callable[[], Work], shared: Shared) -> None:
        self._connection = connection
        self.lane = lane
        self._work = work
        self._shared = shared
        self._stopping = asyncio.Event()
        self._routing: Routing | None = None
        self._reopened = 0
        self._trouble = ""
        self.failure = ""
        """What it failed of, until it goes on."""

    @property
    def waits_for(self) -> str:
        """Why it opens again and again without going on; empty if it does not."""
        return self._trouble if self._reopened >= REOPENED_OFTEN else ""

    @property
    def filling(self) -> dict[str, tuple[int, int]]:
        """Topic of a view that is being filled → records scanned, records to be scanned, of this lane's partitions."""
        return self._routing.filled() if self._routing is not None else {}

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Ask the lane to end after the transaction that it is in."""
        self._stopping.set()

    async def run(self) -> None:
        """Own the lane until it is stopped.

        Raises:
            FencedError: another process owns the lane now.
            LostPositionError: a committed offset is missing, or lies before the log's start.
        """
        backoff = 0.2
        while not self._stopping.is_set():
            if not self._work().inputs:
                await self._pause(0.5)
                continue
            started = time.monotonic()
            try:
                await self._own()
            except clients.FENCED:
                raise FencedError(where=self.lane.transactional_id) from None
            except clients.LOST_OFFSET as error:
                raise self._lost(error) from None
            except (clients.KafkaError, DependencyError, OSError) as error:
                self._shared.counts.reopened[self.lane.group] += 1
                self._reopened += 1
                self._trouble = in_a_line(error)
                told = {"where": error.where, "detail": error.detail} if isinstance(error, DependencyError) else {}
                _log.warning("lane opens again", lane=self.lane.transactional_id, error=type(error).__name__, **told)
                if isinstance(error, transaction.TopicGoneError):
                    await self._shared.look_again()
                backoff = 0.2 if time.monotonic() - started > 5 else min(backoff * 2, 3.0)
                await self._pause(backoff * random.uniform(0.8, 1.2))  # noqa: S311  jitter, not a secret

    def _lost(self, error: Exception) -> LostPositionError:
        return LostPositionError(
            type(error).__name__,
            where=f"group {self.lane.group}, lane {self.lane.transactional_id}",
            fix="see which offset is missing with `bus status`; rebuild from a snapshot with `bus replay`",
        )

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _own(self) -> None:
        producer = clients.producer(self._connection, self.lane.transactional_id)
        async with clients.started(producer, self._connection):
            work = self._work()
            inputs = work.inputs
            settings = _fetching(len(inputs)) | (record_batches.fetching() if _in_batches() else {})
            consumer = clients.consumer(self._connection, group_id=self.lane.group, **settings)
            async with clients.started(consumer, self._connection):
                clients.fetch_together(consumer)
                if _in_batches():  # records come bounded by their number
                    clients.fetch_at_most(consumer, self._shared.fetch_budget.least)
                positions = await self._positions(consumer, inputs)
                most_bytes = FETCH_BYTES if work.normalisers else ROUTED_FETCH_BYTES
                opened = _Opened(producer, consumer, positions, most_bytes, self._shared.fetch_budget.least)
                try:
                    await self._consume(opened)
                finally:
                    self._shared.fetch_budget.leave(self.lane.transactional_id)

    async def _positions(self, consumer: Any, inputs: frozenset[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Assign the inputs, at their committed offsets."""
        places = [clients.TopicPartition(*place) for place in inputs]
        consumer.assign(places)
        found = await clients.committed(consumer, places)
        _refuse_missing([place for place in places if place not in found])
        for place, (offset, _) in found.items():
            consumer.seek(place, offset)
        return {(place.topic, place.partition): offset for place, (offset, _) in found.items()}

    async def _consume(self, lane: _Opened) -> None:
        waiting_since = recommit_at = time.monotonic()
        work = self._work()
        try:
            await self._adopt(lane, work)
            while not self._stopping.is_set():
                now, commands = self._work(), self._shared.commands()
                if now.inputs != lane.positions.keys():
                    return
                if now is not work:
                    work = now
                    await self._adopt(lane, work)
                filling = lane.routing is not None and lane.routing.is_filling
                redrive = lane.redrives.pending(commands, time.time()) if lane.redrives and commands else None
                polled = await self._poll(lane, SCAN_POLL_MS if filling or redrive else POLL_MS)
                if polled:
                    async with self._shared.large_steps if _taken(polled) > MAX_RECORDS else nullcontext():
                        began = time.monotonic()
                        taken, batches = await self._step(lane, polled)
                    took = time.monotonic() - began
                    await self._pace(lane, waiting_since, taken, batches, took)
                    waiting_since = time.monotonic()
                elif time.monotonic() >= recommit_at:
                    await self._recommit(lane)
                    recommit_at = time.monotonic() + RECOMMIT_SECONDS
                if await self._besides(lane, redrive, filling=filling) or polled:
                    self._reopened, self._trouble, self.failure = 0, "", ""
        finally:
            self._routing = None
            for part in (lane.routing, lane.redrives):
                if part is not None:
                    await part.close()

    async def _besides(self, lane: _Opened, redrive: Redrive | None, *, filling: bool) -> bool:
        """A step of what is to be done beside the live records; False if it is not time for one."""
        done = redrive is None and not filling
        if filling:
            done = await self._fill(lane)
        if redrive is not None and lane.redrives is not None:
            await self._redrive(lane, lane.redrives, redrive)
            done = True
        return done

    async def _poll(self, lane: _Opened, timeout_ms: int) -> Polled:
        """The next records; and as much is asked for at once, from the next fetch on, as there is for this lane."""
        polled, lane.keeps_up = await _polled(lane.consumer, timeout_ms, len(lane.positions))
        asked = self._shared.fetch_budget.next(
            self.lane.transactional_id, _fetched_bytes(polled), lane.asked_bytes, lane.most_bytes
        )
        if asked != lane.asked_bytes:
            clients.fetch_at_most(lane.consumer, asked)
            lane.asked_bytes = asked
        return polled

    async def _adopt(self, lane: _Opened, work: Work) -> None:
        """Do this work from now on."""
        if work.normalisers:
            if lane.rejects is None:
                lane.rejects = await recall(self._connection, self.lane.number, lane.positions)
                lane.redrives = LaneRedrives(self._connection, lane.rejects, work.normalisers)
            lane.stage = Normalise(work.normalisers, lane.rejects)
            if lane.redrives is not None:
                lane.redrives.normalisers = work.normalisers
            return
        if lane.routing is None:
            lane.routing = Routing(self._connection, work.entities, lane.positions)
            await lane.routing.recall()
            self._routing = lane.routing
        if kept := lane.routing.adopt(work.entities):
            await self._commit(lane, kept, {})
        lane.stage, lane.most_topics = lane.routing.stage, lane.routing.most_topics

    async def _step(self, lane: _Opened, polled: Polled) -> tuple[int, int]:
        """Take what was polled through the stage; how many records, and how many batches the last transaction had."""
        batch, offsets = lane.batch(), dict[Any, int]()
        taken = _taken(polled)
        while polled:  # what was taken is not held while the lane waits for the broker
            place, fetched = polled.popitem()
            async for some in self._slices(lane, fetched):
                self._shared.counts.read[place.topic] += len(some)
                outputs = await self._apply(lane.stage, some)
                if not batch.takes(outputs):
                    await self._commit(lane, batch.outputs, offsets)
                    batch, offsets = lane.batch(), {}
                batch.add(outputs)
                offsets[place] = some[-1].offset + 1
                await _turn(some)
            fetched, some = [], ()
        if not offsets:  # batches of which nothing is left
            return taken, 0
        return taken, await self._commit(lane, batch.outputs, offsets)

    async def _slices(self, lane: _Opened, fetched: Iterable[Fetched]) -> AsyncIterator[Sequence[InputRecord]]:
        """The records, as many at once as the stage is given; no more than fit into one transaction by their topics."""
        for each in fetched:
            records = each.records() if isinstance(each, record_batches.FetchedBatch) else each
            start = 0
            while start < len(records):
                some = records[start : start + lane.slice(records)]
                if lane.counts_topics and lane.routing is not None and len(some) > 1:
                    fitting = await self._apply(partial(lane.routing.stage.fitting, most=transaction.MAX_TOPICS), some)
                    some = some if fitting == len(some) else some[:fitting]
                yield some
                start += len(some)

    async def _commit(self, lane: _Opened, outputs: Sequence[Made], offsets: dict[Any, int]) -> int:
        began, tally = time.perf_counter(), Tally.of(outputs)
        made = await transaction.commit(lane.producer, outputs, offsets, self.lane.group, int(time.time() * 1000))
        lane.positions.update({(place.topic, place.partition): offset for place, offset in offsets.items()})
        self._shared.counts.committed(self.lane.group, tally, time.perf_counter() - began)
        return made

    async def _fill(self, lane: _Opened) -> bool:
        """A step of the scan for new views, if it is time for one; whether it was."""
        if lane.routing is None or not self._shared.scan_time.begin():
            return False
        try:
            await self._scan(lane, lane.routing)
        finally:
            self._shared.scan_time.end()
        return True

    async def _scan(self, lane: _Opened, routing: Routing) -> None:
        batch, reached = lane.batch(), dict[tuple[str, int], int]()
        for place, records in (await routing.scan()).items():
            async for some in self._slices(lane, [records]):
                outputs = await self._apply(partial(routing.scanned, place), some)
                if not batch.takes(outputs):
                    await self._commit(lane, [*batch.outputs, *routing.advance(reached)], {})
                    batch, reached = lane.batch(), {}
                batch.add(outputs)
                reached[place] = some[-1].offset + 1
                await _turn(some)
        outputs = [*batch.outputs, *routing.advance(await routing.reached())]
        if outputs:
            await self._commit(lane, outputs, {})

    async def _redrive(self, lane: _Opened, redrives: LaneRedrives, command: Redrive) -> None:
        """Take up some of the rejects that a command has selected."""
        chunk = await redrives.read(command, await redrives.next(command))
        outputs = await self._apply(lambda _: redrives.settle(command, chunk), ())
        await self._commit(lane, outputs, {})

    async def _apply(self, stage: Callable[[Sequence[InputRecord]], _T], records: Sequence[InputRecord]) -> _T:
        """What a stage makes of records; the schemas that it does not have are fetched."""
        while True:
            try:
                return stage(records)
            except UnknownSchemaError as unknown:
                await self._fetch_schema(unknown.schema_id)
            except MissingSchemaError as missing:  # it may come back: a lane that routes waits for it
                self._shared.decoders.forget_missing(missing.schema_id)
                raise

    async def _fetch_schema(self, schema_id: int) -> None:
        try:
            schema = await self._shared.registry.schema(schema_id)
        except SchemaNotFoundError:
            schema = None
        self._shared.decoders.add(schema_id, schema)

    async def _pace(self, lane: _Opened, waiting_since: float, taken: int, batches: int, took: float) -> None:
        """Wait for more records where that makes transactions fewer; longer, the more each takes, reads or writes."""
        pace = min(max(PACE_SECONDS, batches * PACE_SECONDS_PER_BATCH), LONGEST_PACE_SECONDS)
        enough = MAX_RECORDS // 4 if pace == PACE_SECONDS else MAX_RECORDS
        if taken < enough:
            slow = 0.0 if lane.keeps_up else min(took * UNDER_WAY, LONGEST_SLOW_PACE_SECONDS)
            pace = max(pace, slow, _quiet_pace(len(lane.positions)))
            await asyncio.sleep(max(REST_SECONDS, waiting_since + pace - time.monotonic()))

    async def _recommit(self, lane: _Opened) -> None:
        """Commit the offsets as they are; reading them fails if one is missing."""
        offsets = {place: await lane.consumer.committed(place) for place in lane.consumer.assignment()}
        _refuse_missing([place for place, offset in offsets.items() if offset is None])
        if offsets:
            await transaction.commit(lane.producer, [], offsets, self.lane.group, 0)


def _no_outputs(records: Sequence[InputRecord]) -> list[Made]:  # noqa: ARG001  a stage like others
    return []


@dataclass(slots=True)
class _Opened:
    """A lane that is open.

    Attributes:
        positions: input partition → offset up to which its records are taken through the stage, and committed.
        most_bytes: that it has a use for at once.
        asked_bytes: that its consumer asks for at once.
        keeps_up: whether it had to wait for the records that it has polled last.
        stage: what is done with records.
        most_topics: how many topics one batch may write to.
        routing: of a lane that routes.
        rejects, redrives: of a lane that normalises.
    """

    producer: Any
    consumer: Any
    positions: dict[tuple[str, int], int]
    most_bytes: int
    asked_bytes: int
    keeps_up: bool = True
    stage: Stage = _no_outputs
    most_topics: int = 0
    routing: Routing | None = None
    rejects: OpenRejects | None = None
    redrives: LaneRedrives | None = None

    @property
    def counts_topics(self) -> bool:
        """Whether its outputs may go to more topics than one transaction can bear."""
        return self.most_topics > transaction.MAX_TOPICS

    def slice(self, records: Sequence[InputRecord]) -> int:
        """How many of some records the stage is given at once."""
        if not isinstance(records, list):
            return WHOLE_TURN
        return 1 if self.counts_topics else transaction.TURN

    def batch(self) -> OutputBatch:
        """The outputs of a transaction, none so far."""
        return OutputBatch(transaction.MAX_TOPICS if self.most_topics > transaction.MAX_TOPICS else None)


async def _polled(consumer: Any, timeout_ms: int, partitions: int) -> tuple[Polled, bool]:
    """The next records, by partition; and whether they had to be waited for.

    What is at hand was asked for at the end of the last transaction, and says what there was then, on as few partitions
    as had something first. Without looking again, everything that came while the lane waited for its pace would wait
    for one more transaction. Records that were waited for are new; there, only other partitions may have more.

    Args:
        consumer: of the lane.
        timeout_ms: how long to wait for a first record.
        partitions: that it reads.
    """
    polled: Polled = {}
    await _take(consumer, polled, 0)
    if polled:
        await _take(consumer, polled, ANSWER_MS)
        return polled, False
    await _take(consumer, polled, timeout_ms)
    if polled and partitions > 1:
        await _take(consumer, polled, FRESH_MS)
    return polled, True


async def _take(consumer: Any, polled: Polled, timeout_ms: int) -> None:
    """Add what is there within a time, as far as a transaction has room for it."""
    room = MAX_RECORDS - _taken(polled)
    if room <= 0:
        return
    counted = None if _in_batches() else room  # batches are bounded by their bytes
    for place, fetched in (await consumer.getmany(timeout_ms=timeout_ms, max_records=counted)).items():
        polled.setdefault(place, []).extend(_by_batch(place, fetched))


def _in_batches() -> bool:
    """Whether lanes fetch whole batches, for the compiled code."""
    return native.is_used() and record_batches.IS_USABLE


def _by_batch(place: Any, fetched: list[Any]) -> list[Any]:
    """What was fetched of a partition: batches, or records, of which the compiled code makes a batch."""
    if not native.is_used():
        return [fetched]
    return fetched if record_batches.IS_USABLE else [Records.of(place.topic, place.partition, fetched)]


def _taken(polled: Polled) -> int:
    """Records that were polled."""
    return sum(len(records) for fetched in polled.values() for records in fetched)


def _fetched_bytes(polled: Polled) -> int:
    """Bytes of the batches that were polled; of records that came without them none are counted."""
    every = (each for fetched in polled.values() for each in fetched)
    return sum(each.size for each in every if isinstance(each, record_batches.FetchedBatch))


async def _turn(some: Sequence[InputRecord]) -> None:
    """The event loop's turn, once in a while."""
    if len(some) > 1 or some[-1].offset % transaction.TURN == 0:
        await asyncio.sleep(0)


def _refuse_missing(places: Sequence[Any]) -> None:
    if places:
        raise LostPositionError("no committed offset", where=", ".join(f"{tp.topic}/{tp.partition}" for tp in places))


def _quiet_pace(inputs: int) -> float:
    """Of a lane with so many input partitions, seconds."""
    return min((inputs - FEW_INPUTS) * PACE_SECONDS_PER_INPUT, LONGEST_QUIET_PACE_SECONDS)


def _fetching(inputs: int) -> dict[str, int]:
    """When the broker answers a fetch: at once; for many partitions, each of which a request names, at their pace."""
    if inputs < MANY_INPUTS:
        return {"fetch_max_wait_ms": 500}
    return {"fetch_max_wait_ms": int(1000 * _quiet_pace(inputs)), "fetch_min_bytes": 16 * 1024}
