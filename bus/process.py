"""A process of the bus: a list of roles that run until a signal, or until one of them fails."""

from __future__ import annotations

import asyncio
import gc
import signal
from typing import TYPE_CHECKING

from bus.errors import BusError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import Any

    Role = Callable[[], Awaitable[None]]


async def run_roles(*roles: Role) -> None:
    """Run the roles side by side until SIGTERM or SIGINT; each is cancelled then and ends in order.

    Raises:
        BusError: the first failure of a role; the others are ended.
    """
    tasks = [asyncio.ensure_future(role()) for role in roles]
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    failed = [task.exception() for task in tasks if task.done() and not task.cancelled()]
    # The last role depends on those before it (a worker on the registry): end them the other way round.
    for task in reversed(tasks):
        task.cancel()
        await asyncio.wait([task])
    for error in failed:
        if error is not None:
            raise error


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run an asynchronous command; several errors at once are told as the first of ours.

    Raises:
        BusError: what went wrong.
    """
    try:
        asyncio.run(main)
    except BaseExceptionGroup as group:
        found = group.subgroup(BusError)
        if found is None:
            raise
        error: BaseException = found
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


def collect_rarely() -> None:
    """Let the garbage collector look less often: records make no cycles, and looking cost 15 to 35% of the CPU."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
