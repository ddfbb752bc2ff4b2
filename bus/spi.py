"""What an adapter is: one class and one configuration model that know their source, and nothing else.

An adapter never sees Kafka, Avro bytes or topics. The runtime around it does, once for all adapters: batching,
encoding, schema registration, transactions, positions, key changes, snapshot brackets, back pressure, retries.

The contract, in the order of a life: the class is constructed with its validated configuration; `check()`;
`discover()`; `read()` until it is closed, with `acknowledge()` beside it; `close()`. The whole contract stands in
`adapters/SPEC.md`, and `bus.testing` proves it for any adapter.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar, overload

from pydantic import BaseModel, ConfigDict

from bus.errors import Finding, Severity, SourceRefusedError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

__all__ = [
    "Adapter",
    "AdapterConfig",
    "Batch",
    "Capabilities",
    "Change",
    "ColumnChanges",
    "Finding",
    "Op",
    "Position",
    "Rejected",
    "RowChanges",
    "Severity",
    "Snapshot",
    "SourceDataset",
    "SourceRefusedError",
    "SourceUnavailableError",
    "variables",
]

Row = dict[str, Any]


class Op(StrEnum):
    """What happened to a row; the symbols of the envelope's `op`."""

    CREATE = "c"
    UPDATE = "u"
    DELETE = "d"
    READ = "r"


class Snapshot(StrEnum):
    """Where a batch stands in a full snapshot of one dataset."""

    BEGIN = "begin"
    END = "end"


class AdapterConfig(BaseModel):
    """Base of every adapter's configuration; secrets are `SecretStr` and come from the environment or a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def variables(adapter: str) -> str:
    """What the environment variables that set fields of an adapter instance begin with: `BUS_ADAPTER_<NAME>_`."""
    return f"BUS_ADAPTER_{adapter.upper().replace('-', '_')}_"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an adapter can tell of its source; published in the catalogue, verified by the conformance kit.

    Attributes:
        deletes: deletions are reported.
        before_images: updates and deletes carry the row as it was.
        snapshot: a full copy can be read, without a gap to the changes after it.
        resumable: reading can start again from a position.
        ordered: changes of one key come in the order of the source's commits.
        latency_seconds: typical time from the source's commit to `read` yielding the change.
        each_alone: a dataset has snapshots of its own, so one that is added later begins with one. Otherwise a snapshot
            is of all datasets at once, and the runtime does not have one that is added later read before the next.
    """

    deletes: bool
    before_images: bool
    snapshot: bool
    resumable: bool
    ordered: bool
    latency_seconds: float
    each_alone: bool = False


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the source.

    Attributes:
        unit: the source's own unit that can be read again from its start and is then the same, row for row: a
            transaction's commit LSN, a snapshot, a file. Opaque to the runtime, which stores it and hands it back.
        row: number of the unit's rows up to and including this one, from 1; 0 is the start of the unit.
        complete: the unit ends there.

    After a restart `read` begins at the start of the unit of `resume_from`, or at any later unit if it can tell that
    the runtime has all of it; the runtime drops the rows up to `row`. So a huge unit can be cut anywhere.
    """

    unit: str
    row: int = 0
    complete: bool = False


@dataclass(frozen=True, slots=True)
class SourceDataset:
    """A dataset as the source describes it.

    Attributes:
        name: the source's own name, `public.population`.
        schema: Avro schema of a row (a record), from the source's column types; comments as `doc`.
        primary_key: fields that identify a row for the source; empty if it knows none.
        before_image: fields that the before-image of an update or delete holds.
        unique: sets of fields that the source keeps unique and not null.
    """

    name: str
    schema: dict[str, Any]
    primary_key: tuple[str, ...] = ()
    before_image: frozenset[str] = frozenset()
    unique: tuple[frozenset[str], ...] = ()


@dataclass(slots=True)
class Change:
    """One change of one row. Not frozen, because millions of them are made; nobody changes one.

    Attributes:
        dataset: the source's name of the dataset.
        op: what happened.
        before: the row before it, whole or as far as the source tells; None for a creation or a snapshot's row.
        after: the row after it, whole; None for a deletion.
        row: number of the change in its unit, from 1.
    """

    dataset: str
    op: Op
    before: Row | None
    after: Row | None
    row: int


class RowChanges(Sequence[Change]):
    """Changes of one dataset that are told by tuples of values; one is made a `Change` only when it is looked at.

    For adapters that read many rows at once: the runtime's compiled code takes the values from the tuples.

    Args:
        dataset: see `Change.dataset`.
        fields: the values' names, in the order in which they stand in a tuple.
        values: a tuple for each change. With an `op` these are the values of its row; without one the op's symbol,
            then the values of the row before, then those of the row after. A creation has no row before and a deletion
            none after, whatever stands there.
        first: `row` of the first change; the others follow without a gap.
        op: what happened to all of them, `Op.CREATE` or `Op.READ`; None where the tuples tell it.
    """

    __slots__ = ("dataset", "fields", "first", "op", "values")

    def __init__(
        self, dataset: str, fields: tuple[str, ...], values: list[tuple[Any, ...]], first: int, op: Op | None = None
    ) -> None:
        self.dataset = dataset
        self.fields = fields
        self.values = values
        self.first = first
        self.op = op

    def __len__(self) -> int:
        """How many there are."""
        return len(self.values)

    @overload
    def __getitem__(self, place: int) -> Change: ...
    @overload
    def __getitem__(self, place: slice) -> list[Change]: ...
    def __getitem__(self, place: int | slice) -> Change | list[Change]:
        """The change at a place, made anew each time."""
        if isinstance(place, slice):
            return [self._change(each) for each in range(*place.indices(len(self.values)))]
        return self._change(range(len(self.values))[place])

    def _change(self, place: int) -> Change:
        values, width, number = self.values[place], len(self.fields), self.first + place
        if self.op is not None:
            return Change(self.dataset, self.op, None, dict(zip(self.fields, values, strict=True)), number)
        op = Op(values[0])
        before = None if op is Op.CREATE else dict(zip(self.fields, values[1 : width + 1], strict=True))
        after = None if op is Op.DELETE else dict(zip(self.fields, values[width + 1 :], strict=True))
        return Change(self.dataset, op, before, after, number)


class ArrowArrayExportable(Protocol):
    """What tells an Arrow array to whoever reads it in place (Arrow PyCapsule interface)."""

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        """Capsules of its schema and of its buffers."""
        ...


class ColumnChanges(Sequence[Change]):
    """Changes of one dataset that are told by columns; rows are made of them only where a `Change` is looked at.

    For adapters that read columns: the runtime's compiled code takes the values from where they lie in memory. A change
    that it does not take from there (a value beyond what its type in the row's schema holds, a row that is null, a
    column of an unusual type) it takes from `values`, as it does all of them where there is no compiled code. Both must
    tell the same.

    Args:
        dataset: see `Change.dataset`.
        fields: names of a row's values, as in `RowChanges`.
        columns: a struct array with a column for each value that a tuple of `RowChanges` holds, in that order: one for
            each field where `op` is given; else the op's symbol, then the fields before, then the fields after. As
            columns go texts, booleans, whole numbers of 8 to 64 bits with sign, floats, bytes, dates in days, times of
            day and moments in microseconds (those with a zone for `timestamp-micros`, those without for
            `local-timestamp-micros`), decimals of 128 bits of the schema's scale.
        length: how many changes there are.
        values: makes the tuples of all of them, see `RowChanges.values`; called once at most.
        first: see `RowChanges`.
        op: see `RowChanges`.
    """

    __slots__ = ("_length", "_rows", "_values", "columns", "dataset", "fields", "first", "op")

    def __init__(  # noqa: PLR0913, PLR0917  a batch is built in one place of an adapter
        self,
        dataset: str,
        fields: tuple[str, ...],
        columns: ArrowArrayExportable,
        length: int,
        values: Callable[[], list[tuple[Any, ...]]],
        first: int,
        op: Op | None = None,
    ) -> None:
        self.dataset = dataset
        self.fields = fields
        self.columns = columns
        self.first = first
        self.op = op
        self._length = length
        self._values = values
        self._rows: RowChanges | None = None

    def __len__(self) -> int:
        """How many there are."""
        return self._length

    @overload
    def __getitem__(self, place: int) -> Change: ...
    @overload
    def __getitem__(self, place: slice) -> list[Change]: ...
    def __getitem__(self, place: int | slice) -> Change | list[Change]:
        """The change at a place, made anew each time."""
        if self._rows is None:
            self._rows = RowChanges(self.dataset, self.fields, self._values(), self.first, self.op)
        return self._rows[place]


@dataclass(slots=True)
class Rejected(Change):
    """A row that the adapter cannot read as one: it goes to the dead letters, and nothing is said of any key.

    It is numbered as the changes are; `op`, `before` and `after` say nothing.

    Attributes:
        rule: that it breaks, in a word.
        field: that breaks it; empty if it is the whole row.
        reason: one sentence that says where it stands in the source; never a value of it.
        original: as it stands there.
    """

    rule: str = ""
    field: str = ""
    reason: str = ""
    original: bytes = b""


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive changes of one unit.

    Attributes:
        unit: see `Position.unit`; all changes of the batch belong to it.
        changes: in the source's order; may be empty (a unit that touched nothing of ours moves the position on).
        last: the unit ends with this batch. A unit may come in several batches; only the last one has it.
        time: source commit time, microseconds since 1970 in UTC; of a snapshot's rows one for all, by
            the same clock, that no change behind them is earlier than.
        transaction: the source's own transaction id, if it has one.
        snapshot: the batch begins, or ends, a full snapshot of `datasets`.
        datasets: the datasets whose snapshot begins or ends here.
        schemas: datasets whose row schema is new as of this batch, in place of what `discover` told.
        size: about how many bytes its rows have, so that large ones do not fill the memory; 0 where that is not known:
            then their number alone is bounded. A few megabytes are a good batch.
    """

    unit: str
    changes: Sequence[Change] = ()
    last: bool = True
    time: int = 0
    transaction: str | None = None
    snapshot: Snapshot | None = None
    datasets: tuple[str, ...] = ()
    schemas: Mapping[str, SourceDataset] = field(default_factory=dict)
    size: int = 0

    @property
    def last_row(self) -> int:
        """Number of the last change in its unit; 0 if there is none."""
        if not self.changes:
            return 0
        if isinstance(self.changes, RowChanges | ColumnChanges):  # which need not be made for it
            return self.changes.first + len(self.changes) - 1
        return self.changes[-1].row


ConfigT = TypeVar("ConfigT", bound=AdapterConfig)


class Adapter(ABC, Generic[ConfigT]):
    """Base class of adapters: what the runtime calls, and what may be left as it is."""

    kind: ClassVar[str]
    """The name under which it is registered in the entry-point group `bus.adapters`."""

    config_model: ClassVar[type[AdapterConfig]]
    capabilities: ClassVar[Capabilities]

    def __init__(self, name: str, config: ConfigT) -> None:
        """An adapter named as in the workspace, with its validated configuration. Opens nothing yet."""
        self.name = name
        self.config = config

    @abstractmethod
    async def check(self, datasets: Sequence[str], keys: Mapping[str, tuple[str, ...]]) -> list[Finding]:
        """What stands in the way of reading these datasets by these keys; each finding with its fix.

        Raises:
            SourceUnavailableError: the source does not answer.
        """

    @abstractmethod
    async def discover(self) -> list[SourceDataset]:
        """The datasets that the source offers.

        Raises:
            SourceUnavailableError: the source does not answer.
        """

    @abstractmethod
    def read(self, datasets: Sequence[str], resume_from: Position | None) -> AsyncIterator[Batch]:
        """Batches without end: a full snapshot first when `resume_from` is None, then the changes after it.

        Raises:
            SourceUnavailableError: the source does not answer; the runtime waits and calls `read` again.
            SourceRefusedError: the position is gone (slot dropped, log cut); only a new snapshot helps.
        """

    def alone(self) -> AbstractAsyncContextManager[None]:
        """Hold what only one process may use at a time, across any number of `read`; by default there is no such thing.

        The runtime takes it before it writes anything. What else stands in the way is for `check` and `read` to say.

        Raises:
            SourceUnavailableError: another process has it, when it is entered.
        """
        return nullcontext()

    def notices(self) -> Mapping[str, Sequence[Finding]]:
        """What of the source needs a person now and does not stop the reading; by default there is no such thing.

        By dataset, under the source's name. An error: something of the dataset waits until a person has seen to it. A
        warning: something of it was left out, and what comes next goes on. `message` says why, `where` which thing of
        the source it is, `fix` what to do. No value of a row stands in any of them.

        It is asked every second, on the event loop, from before `read` until after `close`: it answers from memory.
        """
        return {}

    async def acknowledge(self, position: Position) -> None:
        """Everything up to here is durable on Kafka: the source may forget it."""

    async def close(self) -> None:
        """Let go of the source. May be called at any time, also twice."""
