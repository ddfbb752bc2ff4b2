"""A plan for people: + new, ~ changed, - gone; and the totals."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bus.catalogue.plan import Plan

NO_CHANGES = "No changes: the cluster is what the workspace says."


def plan_lines(plan: Plan) -> Iterator[str]:
    """The findings and notes, then a line per action."""
    yield from (str(finding) for finding in plan.findings)
    yield from (str(note) for note in plan.by_reference)
    yield from (f"  {action.sign} {action}" for action in plan.actions)


def totals(plan: Plan) -> str:
    """How much there is to do, in one line."""
    if not plan.actions:
        return f"{NO_CHANGES} {plan.partitions_after:,} partitions."
    signs = Counter(action.sign for action in plan.actions)
    return (
        f"{signs['+']} new, {signs['~']} changed, {signs['-']} removed; "
        f"partitions {plan.partitions_before:,} → {plan.partitions_after:,}"
    )
