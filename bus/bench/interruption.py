"""A bench that is told to end ends in order, whatever it is at, so that what it has measured is not lost."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from bus.errors import BusError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


async def until_interrupted(main: Coroutine[Any, Any, None]) -> signal.Signals | None:
    """Run to the end, or until SIGINT or SIGTERM: then what runs is cancelled, and ends what it has started.

    A second signal does not wait for that.

    Returns:
        the signal; None if it came to its end.

    Raises:
        BusError: of `main`, unless it came of its being ended.
        KeyboardInterrupt: a second signal.
    """
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(main)
    caught: list[signal.Signals] = []

    def catch(number: int, _frame: FrameType | None) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(signal.Signals(number))
        sys.stderr.write("interrupted: what runs is ended\n")
        loop.call_soon_threadsafe(task.cancel)

    before = {number: signal.signal(number, catch) for number in SIGNALS}
    try:
        await task
    except (asyncio.CancelledError, BusError):
        if not caught:
            raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return caught[0] if caught else None


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, Any]) -> AsyncIterator[asyncio.Task[Any]]:
    """A task that does not outlive the block, however that ends."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
