"""Reading from an adapter without a bus around it: what it yields, collected, with a deadline on every wait."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Self

from bus.spi import Position, Snapshot
from bus.testing.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from bus.spi import Adapter, Batch, Change


class Reading:
    """Reads in a task of its own; `async with Reading(adapter, datasets) as reading: await reading.changes(3)`.

    Args:
        adapter: which one.
        datasets: by the source's names.
        resume_from: where to go on; None for a full snapshot first.
        acknowledge: everything at once, as a bus that has it on Kafka would.
    """

    def __init__(
        self,
        adapter: Adapter[Any],
        datasets: Sequence[str],
        resume_from: Position | None = None,
        *,
        acknowledge: bool = False,
    ) -> None:
        self.batches: list[Batch] = []
        self._adapter = adapter
        self._datasets = datasets
        self._resume_from = resume_from
        self._acknowledge = acknowledge
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to read."""
        self._task = asyncio.create_task(self._read(), name="reading")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop reading."""
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _read(self) -> None:
        async for batch in self._adapter.read(self._datasets, self._resume_from):
            self.batches.append(batch)
            if self._acknowledge:
                await self._adapter.acknowledge(position_after(batch))

    @property
    def all(self) -> list[Change]:
        """Every change so far."""
        return [change for batch in self.batches for change in batch.changes]

    @property
    def streamed(self) -> list[Change]:
        """The changes behind the snapshot."""
        return [change for change in self.all if change.op != "r"]

    async def changes(self, count: int, *, within: float = 15.0) -> list[Change]:
        """The first so many changes behind the snapshot, once they are there.

        Raises:
            AssertionError: they did not come in time.
        """
        await self.until(lambda: len(self.streamed) >= count, within=within, what=f"{count} changes")
        return self.streamed

    async def snapshot(self, *, within: float = 30.0) -> list[Change]:
        """The rows of the snapshot, once it has ended.

        Raises:
            AssertionError: it did not end in time.
        """
        await self.until(
            lambda: any(batch.snapshot is Snapshot.END for batch in self.batches), within=within, what="the snapshot"
        )
        return [change for change in self.all if change.op == "r"]

    async def until(self, condition: Callable[[], object], *, within: float = 15.0, what: str = "") -> None:
        """Wait for a condition; what ends the reading before is raised.

        Raises:
            AssertionError: it did not come in time.
            BusError: what the adapter raised.
        """

        def holds() -> object:
            if not (answer := condition()) and self._task is not None and self._task.done():
                self._task.result()
            return answer

        await until(holds, within=within, what=what)


def position_after(batch: Batch) -> Position:
    """The position once a batch is durable."""
    return Position(batch.unit, batch.last_row, batch.last)
