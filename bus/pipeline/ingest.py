"""The first stage: an adapter's changes become raw records. Pure; the runtime around the adapter does the I/O."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from bus import wire
from bus.kafka.partitions import partition_of
from bus.pipeline.codec import UnencodableError
from bus.pipeline.dlq import dead_letter, reject_headers
from bus.pipeline.key_moves import KeyedChange, KeyMoves
from bus.pipeline.native import encoding
from bus.pipeline.record import Output
from bus.spi import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bus.pipeline.native._encoder import ChangeEncoder, Told
    from bus.spi import Batch, Change, Position

    _Expanded: TypeAlias = Output | tuple["RawDataset", KeyedChange]

RUN: Final = 250
"""Changes that the compiled code takes at once: half a millisecond, so that the event loop has its turn."""


@dataclass(frozen=True, slots=True)
class RawDataset:
    """A dataset on its way into raw.

    Attributes:
        name: `<dept>.<dataset>`.
        partitions: of its raw topic.
        key: fields of its key.
        identity: see `KeyMoves`.
        source: `ce_source` of its records.
        encode: from an envelope to a framed value.
        native: makes its records in compiled code; None where there is none.
    """

    name: str
    partitions: int
    key: tuple[str, ...]
    identity: tuple[str, ...]
    source: str
    encode: Callable[[Any], bytes]
    native: ChangeEncoder | None = None


class Ingest:
    """Raw records of the changes of one adapter.

    Args:
        datasets: by the source's own name.
        resume_from: the last position that is durable on Kafka; rows up to there are not put out again.
    """

    def __init__(self, datasets: dict[str, RawDataset], resume_from: Position | None) -> None:
        self.datasets = datasets
        self._resume = resume_from
        self._moves = {name: KeyMoves(each.key, each.identity) for name, each in datasets.items()}
        self._plain = _plain_encoders(datasets)
        self._told: Told | None = None
        """Of the batch at hand."""

    def replace(self, source_name: str, dataset: RawDataset) -> None:
        """Go on with a dataset whose row schema is new."""
        self.datasets[source_name] = dataset
        self._plain = _plain_encoders(self.datasets)

    def restart(self, source_name: str) -> None:
        """Forget the key changes under way of a dataset: it was emptied, or is read anew."""
        dataset = self.datasets[source_name]
        self._moves[source_name] = KeyMoves(dataset.key, dataset.identity)

    def outputs(self, batch: Batch) -> Iterator[Output]:
        """The records of a batch, in order; a change that cannot be encoded goes to the dataset's DLQ.

        They are made one by one as they are taken, and all of them must be.
        """
        resumed = self._resume is not None and self._resume.unit == batch.unit
        done = self._resume.row if self._resume is not None and resumed else 0
        if self._resume is not None and resumed and self._resume.complete:
            self._resume = None if batch.last else self._resume
            return
        self._told = encoding.told_of(batch) if batch.changes or batch.last else None
        waiting: _Expanded | None = None
        for each in self._expanded(batch, done):
            if waiting is not None:
                yield self._made(waiting, batch, last=False)
            waiting = each
        if waiting is not None:
            yield self._made(waiting, batch, last=batch.last)
        if batch.last:
            self._resume = None

    def _expanded(self, batch: Batch, done: int) -> Iterator[_Expanded]:
        changes, place = batch.changes, 0
        while place < len(changes):
            run, place = self._run(batch, place, done)
            yield from run
            if not run and place < len(changes):
                change, place = changes[place], place + 1
                if change.dataset in self.datasets:
                    yield from self._expand(change, batch, done)
        if batch.last:
            for name, moves in self._moves.items():
                for keyed in moves.end():
                    yield self.datasets[name], keyed

    def _run(self, batch: Batch, place: int, done: int) -> tuple[Sequence[_Expanded], int]:
        """What compiled code makes of the next changes, and the place of the first that it leaves.

        In a unit's last batch the last record of a run is still to be made: where none of the changes behind it is
        published, it says that it is the unit's last one.
        """
        if self._told is None or not self._plain:
            return [], place
        made: list[Output] = []
        place = encoding.records(self._plain, self._told, batch.changes, range(place, place + RUN), done, made)
        if not made or not batch.last:
            return made, place
        last = batch.changes[place - 1]
        return [*made[:-1], (self.datasets[last.dataset], KeyedChange(last, made[-1].key or b""))], place

    def _made(self, expanded: _Expanded, batch: Batch, *, last: bool) -> Output:
        if isinstance(expanded, Output):
            return expanded
        dataset, keyed = expanded
        return self._record(keyed, dataset, batch, last=last)

    def _expand(self, change: Change, batch: Batch, done: int) -> list[_Expanded]:
        dataset = self.datasets[change.dataset]
        if isinstance(change, Rejected):
            return [] if change.row <= done else [self._unread(change, dataset, batch)]
        try:
            expanded = self._moves[change.dataset].expand(change)
        except wire.BadKeyError as error:
            return [] if change.row <= done else [self._unkeyed(change, dataset, batch, error)]
        return [] if change.row <= done else [(dataset, keyed) for keyed in expanded]

    def _record(self, keyed: KeyedChange, dataset: RawDataset, batch: Batch, *, last: bool) -> Output:
        change = keyed.change
        if self._told is not None and dataset.native is not None:
            made = dataset.native.record(self._told, change, keyed.key, keyed.released, last)
            if made is not None:
                return made
        position = f"{batch.unit}/{change.row}"
        event = {
            "op": change.op.value,
            "before": change.before,
            "after": change.after,
            "position": position,
            "transaction": batch.transaction,
            "last": last,
            "time": batch.time,
        }
        headers = self._headers(f"{position}d" if keyed.released else position, dataset, batch)
        try:
            value = dataset.encode(event)
            if wire.is_too_large(keyed.key, value):
                value = dataset.encode(event | {"before": None})  # which is there as far as it is known
        except UnencodableError as error:
            return self._reject(change, dataset, headers, ("encode", error.detail, keyed.key))
        if wire.is_too_large(keyed.key, value):
            reason = f"has {len(value)} bytes: a record has at most {wire.MAX_RECORD_BYTES}"
            return self._reject(change, dataset, headers, ("too_large", reason, keyed.key))
        partition = partition_of(keyed.key, dataset.partitions)
        return Output(wire.raw_topic(dataset.name), partition, keyed.key, value, headers)

    def _unkeyed(self, change: Change, dataset: RawDataset, batch: Batch, error: wire.BadKeyError) -> Output:
        headers = self._headers(f"{batch.unit}/{change.row}", dataset, batch)
        return self._reject(change, dataset, headers, ("key", error.detail, None))

    def _unread(self, change: Rejected, dataset: RawDataset, batch: Batch) -> Output:
        headers = self._headers(f"{batch.unit}/{change.row}", dataset, batch)
        more = reject_headers("ingest", change.rule, change.field, change.reason)
        return dead_letter(dataset.name, None, change.original, headers, more)

    @staticmethod
    def _reject(
        change: Change, dataset: RawDataset, headers: wire.Headers, why: tuple[str, str, bytes | None]
    ) -> Output:
        rule, reason, key = why
        original = json.dumps(
            {"op": change.op.value, "before": change.before, "after": change.after}, default=str, ensure_ascii=False
        ).encode()
        more = reject_headers("ingest", rule, "", reason)
        return dead_letter(dataset.name, key, original, headers, more)

    @staticmethod
    def _headers(event_id: str, dataset: RawDataset, batch: Batch) -> wire.Headers:
        time = wire.timestamp(batch.time)
        return wire.CloudEvent(event_id, f"raw.{dataset.name}", dataset.source, time).headers()


def _plain_encoders(datasets: dict[str, RawDataset]) -> dict[str, ChangeEncoder]:
    """The datasets whose changes can be made into records one by one: no key of theirs changes hands in a unit."""
    return {name: each.native for name, each in datasets.items() if each.native is not None and not each.identity}
