"""One session of an adapter's runtime: what was read becomes transactions, snapshots are bracketed and swept."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from bus import wire
from bus.kafka import clients
from bus.pipeline import sweep, transaction
from bus.pipeline.position import Bracket, Progress
from bus.pipeline.record import Output
from bus.spi import Op, Snapshot

if TYPE_CHECKING:
    from bus.config import Connection
    from bus.pipeline.ingest import Ingest, RawDataset
    from bus.pipeline.publication import Publication
    from bus.spi import Batch

MAX_CHANGES: Final = 1_000
"""Changes of one transaction: enough that its fixed cost is a twentieth, and few enough not to hold up live changes."""


class PublishingSession:
    """From batches to transactions, with one producer and one position.

    Args:
        publication: what is published.
        connection: the cluster, for reading the raw topic back at the end of a snapshot.
        producer: the adapter's transactional producer, started.
        ingest: makes the records.
        progress: what was durable when the session began.
    """

    def __init__(
        self,
        publication: Publication,
        connection: Connection,
        producer: Any,
        ingest: Ingest,
        progress: Progress,
    ) -> None:
        self.ingest = ingest
        self.progress = progress
        self._publication = publication
        self._connection = connection
        self._producer = producer
        self._outputs: list[Output] = []

    async def add(self, batch: Batch) -> None:
        """Take a batch's records and its position; the event loop has its turn in between."""
        for number, output in enumerate(self.ingest.outputs(batch), 1):
            self._outputs.append(output)
            if number % transaction.TURN == 0:
                await asyncio.sleep(0)
        self.progress = self.progress.after(batch)

    async def commit(self) -> None:
        """Write what was taken, with the position."""
        position = self.progress.output(self._publication.department, self._publication.adapter)
        await transaction.commit(self._producer, [*self._outputs, position], {}, "", int(time.time() * 1000))
        self._outputs.clear()

    async def bracket(self, batch: Batch) -> None:
        """Open, or sweep and close, the snapshot brackets of a batch's datasets."""
        if self._outputs:
            await self.commit()
        for source_name in batch.datasets:
            dataset = self.ingest.datasets[source_name]
            bracket = self.progress.snapshots.get(dataset.name)
            if batch.snapshot is Snapshot.BEGIN:
                self.ingest.restart(source_name)
                if bracket is not None and bracket.unit == batch.unit:
                    continue  # it comes again after a restart: its rows that are durable already count as seen
                self.progress = self.progress.opened(dataset.name, Bracket(batch.unit, await self._ends(dataset)))
            elif dataset.name in self.progress.snapshots:
                await self._sweep(dataset, batch)
                self.progress = self.progress.closed(dataset.name)

    async def _ends(self, dataset: RawDataset) -> dict[int, int]:
        topic = wire.raw_topic(dataset.name)
        reader = clients.consumer(self._connection)
        async with clients.started(reader, self._connection):
            places = [clients.TopicPartition(topic, number) for number in range(dataset.partitions)]
            return {place.partition: end for place, end in (await reader.end_offsets(places)).items()}

    async def _sweep(self, dataset: RawDataset, batch: Batch) -> None:
        begin = self.progress.snapshots[dataset.name].begin
        if not any(begin.values()):
            return
        fold = await sweep.fold_topic(self._connection, wire.raw_topic(dataset.name), begin)
        try:
            sweep.refuse_too_many(fold.count(), fold.seen, self._publication.deletion_share, dataset.name)
            for gone in fold.gone():
                self._outputs.append(_deletion(gone, dataset, batch))
                if len(self._outputs) >= MAX_CHANGES:
                    await self.commit()
        finally:
            fold.close()
        await self.commit()


def _deletion(gone: sweep.Gone, dataset: RawDataset, batch: Batch) -> Output:
    position = f"{batch.unit}/gone/{gone.partition}-{gone.offset}"
    event = {
        "op": Op.DELETE.value,
        "before": None,
        "after": None,
        "position": position,
        "transaction": None,
        "last": False,
        "time": batch.time,
    }
    topic = wire.raw_topic(dataset.name)
    ce = wire.CloudEvent(position, topic, dataset.source, wire.timestamp(batch.time))
    return Output(topic, gone.partition, gone.key, dataset.encode(event), ce.headers())
