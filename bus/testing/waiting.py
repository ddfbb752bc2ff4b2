"""Waiting on a condition with a deadline: what tests do instead of sleeping."""

from __future__ import annotations

import asyncio
import inspect
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


async def until(condition: Callable[[], Any], *, within: float, what: str = "") -> float:
    """Wait until a condition (a function, or a coroutine function) holds; the seconds that it took.

    Args:
        condition: asked again and again.
        within: seconds until it counts as never.
        what: was waited for; told when it does not come.

    Raises:
        AssertionError: it did not hold in time.
    """
    begun = time.monotonic()
    while True:
        answer = condition()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return time.monotonic() - begun
        if time.monotonic() - begun > within:
            named = what or getattr(condition, "__name__", "the condition")
            raise AssertionError(f"not within {within:.0f} s: {named}")
        await asyncio.sleep(0.02)
