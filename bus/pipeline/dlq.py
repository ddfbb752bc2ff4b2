"""The headers that a rejected record carries on `dlq.<dept>.<dataset>`: why it was rejected, never a value of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bus.wire import Header


PREFIX: Final = "bus_reject_"


def reject_headers(  # noqa: PLR0913, PLR0917  what is told of a reject
    stage: str, rule: str, field: str, reason: str, origin: str = "", entity: str = ""
) -> list[Header]:
    """The headers added to the original's.

    Args:
        stage: ingest, normalise or route.
        rule: name of the rule that the record broke.
        field: the field that broke it; empty if it is the whole record.
        reason: one sentence, without values.
        origin: topic/partition/offset of the original.
        entity: that its mapping feeds.
    """
    told = {"stage": stage, "rule": rule, "field": field, "reason": reason, "origin": origin, "entity": entity}
    return [(f"{PREFIX}{name}", text.encode()) for name, text in told.items() if text]
