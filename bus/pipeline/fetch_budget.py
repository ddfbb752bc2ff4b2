"""How much the lanes of a process fetch at once, so that all of them together stay within a bound."""

from __future__ import annotations

from typing import Final

WHOLE_BYTES: Final = 12 * 1024 * 1024
"""What the lanes that are behind fetch at once, together. Each holds twice its part at most: what it works on, and what
is fetched meanwhile."""

LEAST_BYTES: Final = 512 * 1024
"""What a lane fetches at least, and as long as it is not behind: some 1,500 records."""


class FetchBudget:
    """Shared out evenly among the lanes that are behind.

    A lane is behind if it got half of what it asked for, or more. Until then it asks for little, so that at a worker's
    start, when all lanes may be behind, none asks for more than there is for it.

    Args:
        whole, least: bytes; see `WHOLE_BYTES` and `LEAST_BYTES`.
    """

    def __init__(self, whole: int = WHOLE_BYTES, least: int = LEAST_BYTES) -> None:
        self.least = least
        self._whole = whole
        self._behind: set[str] = set()

    def next(self, lane: str, fetched: int, asked: int, most: int) -> int:
        """Bytes that a lane may ask for next.

        Args:
            lane: its name in this process.
            fetched: bytes that it got.
            asked: bytes that it had asked for.
            most: bytes that it has a use for.
        """
        if 2 * fetched < asked:
            self._behind.discard(lane)
            return self.least
        self._behind.add(lane)
        return max(self.least, min(most, self._whole // len(self._behind)))

    def leave(self, lane: str) -> None:
        """It fetches no more."""
        self._behind.discard(lane)
