"""An adapter's position in `_bus.positions.<dept>`: one compacted record per adapter, written with its data."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from bus import wire
from bus.errors import BusError
from bus.pipeline.record import Output
from bus.spi import Position

if TYPE_CHECKING:
    from bus.spi import Batch


class BadPositionError(BusError):
    """The adapter's stored position cannot be read."""


@dataclass(frozen=True, slots=True)
class Bracket:
    """A full snapshot of a dataset that has begun and not ended.

    Attributes:
        unit: the snapshot's unit.
        begin: end offsets of the raw topic's partitions as it began; what lies before is the older state.
    """

    unit: str
    begin: dict[int, int]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an adapter's data is durable on Kafka.

    Attributes:
        position: where to resume; None before the first commit.
        time: source commit time of it, microseconds since 1970 in UTC.
        snapshots: open snapshots by dataset name.
        datasets: the source's names of those that are whole up to there: in the snapshot, and in every change since.
            None where they were not kept yet.
    """

    position: Position | None = None
    time: int = 0
    snapshots: dict[str, Bracket] = field(default_factory=dict)
    datasets: tuple[str, ...] | None = None

    def after(self, batch: Batch) -> Progress:
        """The progress once a batch is durable."""
        row = batch.last_row
        if self.position is not None and self.position.unit == batch.unit:
            if self.position.complete:  # a unit that comes again after a restart is no less durable for that
                return self
            row = max(row, self.position.row)
        return replace(self, position=Position(batch.unit, row, batch.last), time=batch.time or self.time)

    def opened(self, dataset: str, bracket: Bracket) -> Progress:
        """With a snapshot begun."""
        return replace(self, snapshots={**self.snapshots, dataset: bracket})

    def closed(self, dataset: str) -> Progress:
        """With a snapshot ended."""
        return replace(self, snapshots={name: each for name, each in self.snapshots.items() if name != dataset})

    def output(self, department: str, adapter: str) -> Output:
        """The record that keeps it."""
        value = json.dumps(asdict(self), separators=(",", ":")).encode()
        return Output(wire.positions_topic(department), 0, adapter.encode(), value, [])

    @classmethod
    def of(cls, value: bytes | None) -> Progress:
        """What a record keeps; nothing yet for None.

        Raises:
            BadPositionError: not written by `output`.
        """
        if value is None:
            return cls()
        try:
            found = json.loads(value)
            position = Position(**found["position"]) if found["position"] else None
            brackets = {
                name: Bracket(each["unit"], {int(number): offset for number, offset in each["begin"].items()})
                for name, each in found["snapshots"].items()
            }
            datasets = found.get("datasets")
            return cls(position, found["time"], brackets, None if datasets is None else tuple(datasets))
        except (ValueError, KeyError, TypeError) as error:
            raise BadPositionError(type(error).__name__) from None
