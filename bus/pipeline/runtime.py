"""What runs around an adapter: encoding, schemas, transactions, positions, snapshot brackets, back pressure, retries.

The adapter's changes and its new position are written in one Kafka transaction (as KIP-618 does for Connect), so that
after any crash it resumes exactly behind what read-committed readers see.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import structlog

from bus import wire
from bus.errors import DependencyError, FencedError, Finding, Severity, SourceRefusedError, SourceUnavailableError
from bus.kafka import clients
from bus.kafka.compacted import CompactedTopic
from bus.pipeline.codec import encoder
from bus.pipeline.envelope import envelope_schema
from bus.pipeline.heartbeat import HEARTBEAT_SECONDS, AdapterBeat, Heart, adapter_key
from bus.pipeline.ingest import Ingest, RawDataset
from bus.pipeline.loop import REST_SECONDS
from bus.pipeline.native.encoding import change_encoder
from bus.pipeline.notices import to_json
from bus.pipeline.position import Progress
from bus.pipeline.publication import AdapterCounts, Publication, Published
from bus.pipeline.read_ahead import ReadAhead
from bus.pipeline.session import MAX_CHANGES, PublishingSession
from bus.spi import Snapshot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bus.config import Settings
    from bus.kafka.registry_client import SchemaRegistry
    from bus.pipeline.notices import Told
    from bus.spi import Adapter, Batch, SourceDataset

_log = structlog.get_logger()

PACE_SECONDS: Final = 0.02
"""Shortest time between two transactions while the adapter keeps up."""

GIVE_WAY: Final = 1.0
"""How long an adapter rests after a full transaction of a dump or a snapshot, as a share of what that one took: the
stages behind it then get the dump in small parts, between which live changes go through."""

TAKE_SECONDS: Final = 1.0
"""How often it is looked whether the other process has ended."""


class AdapterRuntime:
    """Runs one adapter against one cluster until it is cancelled.

    Args:
        adapter: the adapter, configured.
        publication: what it publishes.
        settings: the cluster, and the bus's id.
        registry: where the raw schemas are registered.
        anew: begin with a full snapshot, whatever position is stored.
    """

    def __init__(
        self,
        adapter: Adapter[Any],
        publication: Publication,
        settings: Settings,
        registry: SchemaRegistry,
        *,
        anew: bool = False,
    ) -> None:
        self.name = publication.adapter
        self.counts = AdapterCounts()
        self._adapter = adapter
        self._publication = publication
        self._connection = settings.kafka
        self._registry = registry
        self._anew = anew
        self._writing_since = time.monotonic()
        self._attempted = Progress()
        self._timed_out = False
        self._session_began = 0.0, 0
        self._notices_failed = False
        self._late: tuple[Published, ...] = ()
        self._could_read = False
        self._transactional_id = f"{settings.bus_id}.adapter.{publication.adapter}"
        self.heart = Heart(
            settings.kafka, wire.positions_topic(publication.department), adapter_key(publication.adapter), self.beat
        )

    def beat(self) -> AdapterBeat:
        """How the adapter is now."""
        counts, progress = self.counts, self.counts.progress
        now = time.time()
        if self._has_caught_up():
            counts.caught_up = now
        published = progress.time / 1e6 if progress.time else None
        return AdapterBeat(
            adapter=self._publication.adapter,
            datasets=[each.name for each in self._publication.datasets],
            state="snapshot" if counts.state == "running" and progress.snapshots else counts.state,
            position=progress.position.unit if progress.position is not None else "",
            position_time=published,
            caught_up=counts.caught_up,
            pending=counts.pending,
            lag_seconds=self._lag(published, now),
            changes=counts.changes,
            transactions=counts.transactions,
            error=counts.error,
            notices=self._notices(),
        )

    def _notices(self) -> Told:
        """What a person must see to, by the catalogue's names of the datasets: the adapter's, and what is not read."""
        names = {each.source_name: each.name for each in self._publication.datasets}
        late = {each.name: [self._too_late(each)] for each in self._late}
        try:
            said = {names[each]: said for each, said in self._adapter.notices().items() if each in names}
            found = to_json(said | late)
        except Exception as error:  # noqa: BLE001  a mistake of an adapter here must not silence its heartbeat
            if not self._notices_failed:
                _log.warning("notices cannot be told", adapter=self._publication.adapter, error=type(error).__name__)
            self._notices_failed = True
            return {}
        return found

    def _too_late(self, published: Published) -> Finding:
        return Finding(
            "the dataset was added after the snapshot with which its adapter began, so it is not read yet",
            where=published.source_name,
            fix=f"end the adapter and start it anew: bus adapter run {self.name} --snapshot (reads all its datasets)",
        )

    def _has_caught_up(self) -> bool:
        """Whether nothing is pending; said of a session that begins only when its source had time to tell of some."""
        counts = self.counts
        began, transactions = self._session_began
        settled = counts.transactions > transactions or time.monotonic() > began + HEARTBEAT_SECONDS
        return counts.state == "running" and settled and not counts.pending and not counts.progress.snapshots

    def _lag(self, published: float | None, now: float) -> float | None:
        if published is None or self.counts.progress.snapshots:
            return None
        return 0.0 if self._has_caught_up() else max(0.0, now - published)

    async def run(self) -> None:
        """Publish without end, with a heartbeat. What is down is waited for; nothing is skipped.

        While another process has what only one may have (`Adapter.alone`), this one waits, and says nothing in its
        place: its transactional producer would fence that process.

        Raises:
            SourceRefusedError: the source cannot be read as it is set up; every reason with its fix. One that could be
                read since the start is waited for.
            FencedError: another process runs this adapter now, or has run it in the meantime.
            TooManyDeletionsError: a new snapshot lacks too many known keys.
        """
        async with AsyncExitStack() as held:
            await self._take(held)
            await self._run_with_heart()

    async def _run_with_heart(self) -> None:
        async with self.heart:
            try:
                await self._sessions()
            except FencedError:
                await self.heart.silence()
                raise
            except asyncio.CancelledError:
                self.counts.state = "stopped"
                raise
            except BaseException as error:
                self.counts.state, self.counts.error = "failed", type(error).__name__
                raise

    async def _take(self, held: AsyncExitStack) -> None:
        told = False
        while True:
            try:
                await held.enter_async_context(self._adapter.alone())
            except SourceUnavailableError as error:
                if not told:
                    _log.warning(
                        "adapter waits until another process ends",
                        adapter=self._publication.adapter,
                        error=_told(error),
                        where=error.where,
                        fix=error.fix,
                    )
                told = True
                self.counts.state, self.counts.error = "waiting", type(error).__name__
                await asyncio.sleep(TAKE_SECONDS)
            else:
                return

    async def _sessions(self) -> None:
        backoff = 0.2
        while True:
            started = time.monotonic()
            try:
                await self._session()
            except clients.FENCED:
                if time.monotonic() - self._writing_since < clients.TRANSACTION_TIMEOUT_MS / 1000:
                    raise FencedError(where=self._transactional_id) from None
                # We stood still for so long that the broker ended our transaction by itself, which it tells in the same
                # words; the next session sees by the stored position whether another process came in between.
                self._timed_out = True
                _log.warning("adapter stood still too long", adapter=self._publication.adapter)
            except (clients.KafkaError, DependencyError, OSError) as error:
                self.counts.failures += 1
                self.counts.state, self.counts.error = "waiting", type(error).__name__
                _log.warning("adapter starts again", adapter=self._publication.adapter, error=_told(error))
                backoff = 0.2 if time.monotonic() - started > 5 else min(backoff * 2, 3.0)
                await asyncio.sleep(backoff * random.uniform(0.8, 1.2))  # noqa: S311  jitter, not a secret

    async def _session(self) -> None:
        await self._see_source()  # first: who cannot read it takes its place from nobody
        producer = clients.producer(self._connection, self._transactional_id)
        async with clients.started(producer, self._connection):
            progress = await self._stored_progress()
            if self._timed_out and progress.position not in {self.counts.progress.position, self._attempted.position}:
                raise FencedError(where=self._transactional_id)
            self._timed_out = False
            position = None if self._anew else progress.position
            names = self._whole(progress if position is not None else Progress())
            begun = replace(progress, datasets=tuple(names))
            datasets = await self._datasets(names)
            session = PublishingSession(
                self._publication, self._connection, producer, Ingest(datasets, progress.position), begun
            )
            if position is not None and begun != progress:
                self._writing_since = time.monotonic()
                await session.commit()
            self.counts.progress = begun
            self.counts.state = "running"
            self._session_began = time.monotonic(), self.counts.transactions
            begins = "with a snapshot" if position is None else "where it stood"
            _log.info("adapter reads", adapter=self._publication.adapter, datasets=names, begins=begins)
            await self._pump(self._adapter.read(names, position), session)

    def _whole(self, progress: Progress) -> list[str]:
        """The source's names of what can be read from there on; what came later has its notice.

        Raises:
            SourceRefusedError: there is nothing else.
        """
        published = self._publication.datasets
        known = progress.datasets if not self._adapter.capabilities.each_alone else None
        self._late = tuple(each for each in published if known is not None and each.source_name not in known)
        for each in self._late:
            late = self._too_late(each)
            _log.warning("dataset is not read", dataset=each.name, error=late.message, where=late.where, fix=late.fix)
        if len(self._late) == len(published):
            raise SourceRefusedError([self._too_late(each) for each in published], f"adapter {self.name}")
        return [each.source_name for each in published if each not in self._late]

    async def _stored_progress(self) -> Progress:
        """Where the last owner's committed transactions end; the producer was fenced before, so no later one comes."""
        topic = wire.positions_topic(self._publication.department)
        async with CompactedTopic(self._connection, topic) as positions:
            return Progress.of(positions.items.get(self._publication.adapter))

    async def _see_source(self) -> None:
        names = [each.source_name for each in self._publication.datasets]
        keys = {each.source_name: each.key for each in self._publication.datasets}
        findings = await self._adapter.check(names, keys)
        if errors := [finding for finding in findings if finding.severity is Severity.ERROR]:
            if self._could_read:  # as it is set up it could be read before: it may be so again
                raise SourceUnavailableError(errors[0].message, where=errors[0].where, fix=errors[0].fix)
            raise SourceRefusedError(errors, f"adapter {self._publication.adapter}")
        self._could_read = True

    async def _datasets(self, names: Sequence[str]) -> dict[str, RawDataset]:
        found = {dataset.name: dataset for dataset in await self._adapter.discover()}
        return {
            each.source_name: await self._raw(each, found.get(each.source_name))
            for each in self._publication.datasets
            if each.source_name in names
        }

    async def _raw(self, published: Published, source: SourceDataset | None) -> RawDataset:
        if source is None:
            finding = Finding(
                "the source does not offer this dataset", where=published.source_name, fix="see `bus adapter discover`"
            )
            raise SourceRefusedError([finding], f"adapter {self._publication.adapter}")
        schema = envelope_schema(published.name, source.schema)
        schema_id = await self._registry.register(wire.subject(wire.raw_topic(published.name)), schema)
        dataset = RawDataset(
            name=published.name,
            partitions=published.partitions,
            key=published.key,
            identity=() if _unique_at_once(source, published.key) else source.primary_key,
            source=self._publication.source,
            encode=encoder(schema_id, schema),
        )
        return replace(dataset, native=change_encoder(dataset, schema_id, schema))

    async def _pump(self, batches: AsyncIterator[Batch], session: PublishingSession) -> None:
        """Read ahead while transactions are under way."""
        ahead = ReadAhead(batches)
        try:
            while taken := await ahead.take(MAX_CHANGES):
                count = sum(len(batch.changes) for batch in taken)
                self.counts.pending = ahead.size + count
                started = self._writing_since = time.monotonic()
                position = await self._write(taken, session)
                self.counts.pending = ahead.size
                await self._adapter.acknowledge(position)
                if count >= MAX_CHANGES:
                    await asyncio.sleep(GIVE_WAY * (time.monotonic() - started))
                elif count < MAX_CHANGES // 4:
                    await asyncio.sleep(max(REST_SECONDS, started + PACE_SECONDS - time.monotonic()))
        finally:
            await ahead.close()

    async def _write(self, batches: Sequence[Batch], session: PublishingSession) -> Any:
        for batch in batches:
            for name, dataset in batch.schemas.items():
                published = next(each for each in self._publication.datasets if each.source_name == name)
                session.ingest.replace(name, await self._raw(published, dataset))
            if batch.snapshot is not None:
                await session.bracket(batch)
            await session.add(batch)
        self._attempted = session.progress
        began = time.perf_counter()
        await session.commit()
        self._anew = False
        self.counts.took(batches, session.progress, time.perf_counter() - began)
        self._tell_snapshots(batches)
        return session.progress.position

    def _tell_snapshots(self, batches: Sequence[Batch]) -> None:
        """Log where a full snapshot has begun or is done: that much is durable then."""
        for batch in batches:
            if batch.snapshot is not None:
                event = "snapshot begins" if batch.snapshot is Snapshot.BEGIN else "snapshot is done"
                _log.info(event, adapter=self._publication.adapter, datasets=list(batch.datasets))


def _unique_at_once(source: SourceDataset, key: tuple[str, ...]) -> bool:
    """Whether the source keeps the key unique at every statement: then it cannot change hands in a transaction."""
    return frozenset(key) in source.unique


def _told(error: BaseException) -> str:
    told = getattr(error, "detail", "") or getattr(error, "strerror", "") or type(error).__name__
    return f"{told} ({type(error.__cause__).__name__})" if error.__cause__ is not None else told
