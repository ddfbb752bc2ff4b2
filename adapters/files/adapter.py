"""The adapter: its life as the SPI tells it."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from adapters.files import checks
from adapters.files.config import FilesConfig
from adapters.files.engine import let_go_at_exit
from adapters.files.inbox import Inbox
from adapters.files.ledger import Ledger
from adapters.files.notices import Notices
from adapters.files.prepare import Preparer
from adapters.files.publish import batches
from adapters.files.rows import dataset_of
from bus.spi import Adapter, Batch, Capabilities, Finding, Position, SourceDataset

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence

    from adapters.files.unit import Unit

T = TypeVar("T")

NICENESS: Final = 10
"""Of the thread that compares dumps: it takes the processor time that live changes, here or beside it, leave."""


class FilesAdapter(Adapter[FilesConfig]):
    """Reads full dumps (CSV) from a folder."""

    kind: ClassVar[str] = "files"
    config_model = FilesConfig
    capabilities = Capabilities(
        deletes=True,
        before_images=True,
        snapshot=True,
        resumable=True,
        ordered=True,
        latency_seconds=15.0,
        each_alone=True,
    )

    def __init__(self, name: str, config: FilesConfig) -> None:
        super().__init__(name, config)
        let_go_at_exit()
        self._inbox = Inbox(config)
        self._notices = Notices(self._inbox, config.state_folder(name))
        self._ledger: Ledger | None = None
        self._locked: Ledger | None = None

    async def check(self, datasets: Sequence[str], keys: Mapping[str, tuple[str, ...]]) -> list[Finding]:
        """See `Adapter.check`."""
        state = self.config.state_folder(self.name)
        return await asyncio.to_thread(checks.findings, self.config, Inbox(self.config), state, datasets, keys)

    async def discover(self) -> list[SourceDataset]:
        """See `Adapter.discover`: what the configuration describes."""
        return [dataset_of(name, config) for name, config in self.config.datasets.items()]

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """See `Adapter.alone`: the lock of the state folder.

        Raises:
            StateTakenError: another process has it.
        """
        ledger = Ledger(self.config.state_folder(self.name), self._inbox)
        try:
            if self.config.folder.is_dir():
                ledger.lock()
                self._notices.load()
            self._locked = ledger
            yield
        finally:
            self._locked = None
            ledger.close()

    async def read(self, datasets: Sequence[str], resume_from: Position | None) -> AsyncIterator[Batch]:
        """See `Adapter.read`: units that were on their way, row for row, then one for each dump that comes."""
        locked = self._locked
        ledger = locked or Ledger(self.config.state_folder(self.name), self._inbox)
        try:
            await asyncio.to_thread(ledger.open)
            await asyncio.to_thread(self._notices.load)
            self._ledger = ledger
            fingerprints = {name: self.config.datasets[name].fingerprint for name in datasets}
            for unit in await asyncio.to_thread(ledger.settle, resume_from, fingerprints):
                async with aclosing(self._batches(unit, ledger)) as found:
                    async for batch in found:
                        yield batch
            stop = threading.Event()
            preparer = Preparer(self.config, ledger, self._inbox, self._notices, stop.is_set)
            with ThreadPoolExecutor(1, "dumps", _give_way) as thread:
                while True:
                    unit_or_none = await _whole(thread, lambda: preparer.next(datasets), stop, preparer)
                    if unit_or_none is None:
                        await asyncio.sleep(self.config.poll_seconds)
                        continue
                    async with aclosing(self._batches(unit_or_none, ledger)) as found:
                        async for batch in found:
                            yield batch
        finally:
            self._ledger = None
            if locked is None:
                ledger.close()

    def _batches(self, unit: Unit, ledger: Ledger) -> AsyncGenerator[Batch]:
        return batches(unit, ledger.folder, self.config.datasets[unit.dataset])

    def notices(self) -> Mapping[str, Sequence[Finding]]:
        """See `Adapter.notices`: dumps that are held, and those that were refused and not followed by a good one."""
        return self._notices.by_dataset

    async def acknowledge(self, position: Position) -> None:
        """See `Adapter.acknowledge`: dumps up to here move to `done/`."""
        if self._ledger is not None:
            await asyncio.to_thread(self._ledger.acknowledge, position)

    async def close(self) -> None:
        """See `Adapter.close`: the state folder is let go with `read`, or with `alone` around it."""


def _give_way() -> None:
    """Lower the priority of this thread, and of those that the engine starts from it."""
    if sys.platform == "linux":  # elsewhere it would be the whole process's
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)


async def _whole(thread: ThreadPoolExecutor, work: Callable[[], T], stop: threading.Event, preparer: Preparer) -> T:
    """Work in a thread; when we are cancelled it is stopped, and waited for: nobody else may have the state before."""
    task = asyncio.ensure_future(asyncio.get_running_loop().run_in_executor(thread, work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.set()
        if (engine := preparer.engine) is not None:
            engine.interrupt()
        await asyncio.wait([task])
        task.exception()  # it says only that it was stopped
        raise
