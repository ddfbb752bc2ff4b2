"""The outputs of one transaction, as long as it writes to few enough topics."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.pipeline.record import Made


class OutputBatch:
    """Outputs in order.

    Args:
        most_topics: how many topics they may go to; None where there cannot be too many.
    """

    def __init__(self, most_topics: int | None = None) -> None:
        self.outputs: list[Made] = []
        self._most_topics = most_topics
        self._topics: set[str] = set()

    def takes(self, outputs: Sequence[Made]) -> bool:
        """Whether these may be added. An empty batch takes anything: what one record becomes is not torn apart."""
        if self._most_topics is None or not self.outputs:
            return True
        return len(self._topics.union(output.topic for output in outputs)) <= self._most_topics

    def add(self, outputs: Sequence[Made]) -> None:
        """Add them."""
        self.outputs += outputs
        if self._most_topics is not None:
            self._topics.update(output.topic for output in outputs)
