"""What a worker process has done since it began, over all its lanes, also those that others own by now."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bus.pipeline.dlq import RULE
from bus.pipeline.record import Output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.pipeline.record import Made

_DEAD_LETTERS: Final = "dlq."


@dataclass(frozen=True, slots=True)
class Tally:
    """What a transaction writes.

    Attributes:
        written: records by topic.
        rejected: dead letters by (dataset, rule).
    """

    written: Counter[str]
    rejected: Counter[tuple[str, str]]

    @classmethod
    def of(cls, outputs: Sequence[Made]) -> Tally:
        """Before they are sent: then the bytes of many are let go."""
        tally = cls(Counter(), Counter())
        for each in outputs:
            tally.written[each.topic] += 1 if isinstance(each, Output) else each.count
            if each.topic.startswith(_DEAD_LETTERS):
                dataset = each.topic.removeprefix(_DEAD_LETTERS)
                for rule, count in _rules(each).items():
                    tally.rejected[dataset, rule.decode("utf-8", "replace")] += count
        return tally


def _rules(letters: Made) -> dict[bytes, int]:
    """How often each rule; ours stands behind what the original may have had by that name."""
    if not isinstance(letters, Output):
        return letters.header_values(RULE.encode())
    rule = next((value for name, value in reversed(letters.headers) if name == RULE), None)
    return {} if rule is None else {rule: 1}


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

    def committed(self, group: str, tally: Tally, seconds: float) -> None:
        """Count one transaction that was committed."""
        self.transactions[group] += 1
        self.seconds[group] += seconds
        self.written += tally.written
        self.rejected += tally.rejected
