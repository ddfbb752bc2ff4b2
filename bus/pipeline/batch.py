"""The outputs of one transaction, as long as they are no more than it can bear."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bus.pipeline.record import Output

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bus.pipeline.record import Made

MOST_BYTES: Final = 10 * 1024 * 1024
"""Of a transaction's outputs. What a lane fetches at once makes less, but where it was compressed or has many views.
With 16 MB a worker that is far behind on lz4 takes 15 MB more, and no less CPU that could be told from noise."""


class OutputBatch:
    """Outputs in order.

    Args:
        most_topics: how many topics they may go to; None where there cannot be too many.
    """

    def __init__(self, most_topics: int | None = None) -> None:
        self.outputs: list[Made] = []
        self._most_topics = most_topics
        self._topics: set[str] = set()
        self._bytes = 0

    def takes(self, outputs: Sequence[Made]) -> bool:
        """Whether these may be added. An empty batch takes anything: what one record becomes is not torn apart."""
        if not self.outputs:
            return True
        if self._bytes + _size(outputs) > MOST_BYTES:
            return False
        if self._most_topics is None:
            return True
        return len(self._topics.union(output.topic for output in outputs)) <= self._most_topics

    def add(self, outputs: Sequence[Made]) -> None:
        """Add them."""
        self.outputs += outputs
        self._bytes += _size(outputs)
        if self._most_topics is not None:
            self._topics.update(output.topic for output in outputs)


def _size(outputs: Iterable[Made]) -> int:
    """Bytes of keys and values."""
    return sum(
        len(each.key or b"") + len(each.value or b"") if isinstance(each, Output) else each.size for each in outputs
    )
