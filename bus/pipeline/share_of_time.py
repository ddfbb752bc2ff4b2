"""How much of a process's time a job beside the live work may take."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class ShareOfTime:
    """Lets one step at a time begin, and the next only when the steps have taken no more than their share.

    Args:
        share: of the time, above 0 and below 1.
        clock: seconds.
    """

    def __init__(self, share: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rest = 1 / share - 1
        self._clock = clock
        self._begun: float | None = None
        self._free_at = clock()

    def begin(self) -> bool:
        """Begin a step, if it is time; then `end` must follow."""
        if self._begun is not None or self._clock() < self._free_at:
            return False
        self._begun = self._clock()
        return True

    def end(self) -> None:
        """The step that was begun is over."""
        now = self._clock()
        self._free_at = now + (now - (self._begun or now)) * self._rest
        self._begun = None
