"""What a worker process has done since it began, over all its lanes, also those that others own by now."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bus.pipeline.record import Output, one_by_one

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.pipeline.record import Made

_DEAD_LETTERS: Final = "dlq."
_RULE: Final = "bus_reject_rule"


@dataclass(slots=True)
class WorkerCounts:
    """Read by metrics and heartbeats.

    Attributes:
        read: records by input topic.
        written: records by output topic, dead letters too.
        rejected: records by (dataset, rule).
        transactions, seconds: how many by consumer group, and how long they took together.
        reopened: how often a lane opened again after an error, by consumer group.
    """

    read: Counter[str] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)
    rejected: Counter[tuple[str, str]] = field(default_factory=Counter)
    transactions: Counter[str] = field(default_factory=Counter)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    reopened: Counter[str] = field(default_factory=Counter)

    def committed(self, group: str, outputs: Sequence[Made], seconds: float) -> None:
        """Count one transaction that was committed."""
        self.transactions[group] += 1
        self.seconds[group] += seconds
        made = Counter[str]()
        for each in outputs:
            made[each.topic] += 1 if isinstance(each, Output) else each.count
        self.written += made
        for topic in made:
            if topic.startswith(_DEAD_LETTERS):
                dataset = topic.removeprefix(_DEAD_LETTERS)
                letters = (each for each in outputs if each.topic == topic)
                self.rejected.update((dataset, _rule(each)) for each in one_by_one(letters))


def _rule(reject: Output) -> str:
    return next((value.decode() for name, value in reject.headers if name == _RULE and value), "")
