"""What a stage reads and writes. A stage is a pure function from input records (and small state) to outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from bus.kafka.native import IS_BUILT, Records

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from bus.kafka.native import Packed
    from bus.wire import Header

Made: TypeAlias = "Output | Packed"
"""What a stage makes: a record, or records of one partition that the compiled code has made ready to be sent."""


class InputRecord(Protocol):
    """A consumed record."""

    @property
    def topic(self) -> str: ...  # noqa: D102
    @property
    def partition(self) -> int: ...  # noqa: D102
    @property
    def offset(self) -> int: ...  # noqa: D102
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102
    @property
    def headers(self) -> Sequence[Header]: ...  # noqa: D102


class Output(NamedTuple):
    """A record to be produced: `value` None is a tombstone; `headers` is a list because aiokafka takes no other."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: list[Header]


class Stage(Protocol):
    """A stage of the data path."""

    def __call__(self, records: Sequence[InputRecord]) -> list[Made]:
        """The outputs of records of one partition, in their order.

        Raises:
            UnknownSchemaError: a writer schema is not at hand; the loop fetches it and calls again.
        """
        ...


def one_by_one(made: Iterable[Made]) -> Iterator[Output]:
    """Each record by itself."""
    for each in made:
        if isinstance(each, Output):
            yield each
        else:
            for key, value, headers in each:
                yield Output(each.topic, each.partition, key, value, headers)


def keys(records: Sequence[InputRecord]) -> Sequence[bytes | None]:
    """The records' keys; without making an object of each record where there is none yet."""
    return records.keys() if IS_BUILT and isinstance(records, Records) else [record.key for record in records]


def key_at(records: Sequence[InputRecord], place: int) -> bytes | None:
    """The key of the record at a place; likewise."""
    return records.key(place) if IS_BUILT and isinstance(records, Records) else records[place].key


def offset_at(records: Sequence[InputRecord], place: int) -> int:
    """The offset of the record at a place; likewise."""
    return records.offset(place) if IS_BUILT and isinstance(records, Records) else records[place].offset


def places(
    records: Sequence[InputRecord], known: Collection[bytes | None], others: Collection[bytes | None]
) -> list[int]:
    """The places among records of those whose key is in one of two collections."""
    if IS_BUILT and isinstance(records, Records):
        return records.places(known, others)
    return [place for place, each in enumerate(records) if each.key in known or each.key in others]
