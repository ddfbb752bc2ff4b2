"""What a stage reads and writes. A stage is a pure function from input records (and small state) to outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.wire import Header


class InputRecord(Protocol):
    """A consumed record, as aiokafka hands it over."""

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

    def __call__(self, records: Sequence[InputRecord]) -> list[Output]:
        """The outputs of records of one partition, in their order.

        Raises:
            UnknownSchemaError: a writer schema is not at hand; the loop fetches it and calls again.
        """
        ...
