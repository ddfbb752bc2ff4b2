"""Dead letters, on `dlq.<dept>.<dataset>`: the rejected record, and in headers why it was rejected, never a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bus import wire
from bus.pipeline.record import Output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.wire import Header


PREFIX: Final = "bus_reject_"
LEFT_OUT: Final = f"{PREFIX}left_out"
"""Header of a letter that is too large with the original's value: how many bytes it had; with `_headers` or `_key`
behind it, the same of these."""

LONGEST_REASON: Final = 1_000


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
    reason = reason[:LONGEST_REASON]
    told = {"stage": stage, "rule": rule, "field": field, "reason": reason, "origin": origin, "entity": entity}
    return [(f"{PREFIX}{name}", text.encode()) for name, text in told.items() if text]


def dead_letter(
    dataset: str, key: bytes | None, original: bytes | None, headers: Sequence[Header], told: Sequence[Header]
) -> Output:
    """The dead letter of a reject; without what of the original the broker would not take, the largest first.

    Args:
        dataset: `<dept>.<dataset>`.
        key: of the reject.
        original: its bytes.
        headers: of the original.
        told: see `reject_headers`.
    """
    if wire.record_size(key, original, [*headers, *told]) <= wire.MAX_SENT_BYTES:
        return Output(wire.dlq_topic(dataset), 0, key, original, [*headers, *told])
    sizes = {"value": len(original or b""), "headers": wire.record_size(None, None, headers), "key": len(key or b"")}
    room = wire.MAX_SENT_BYTES - wire.record_size(None, None, told)
    made = [*told]
    while sum(sizes.values()) > room and sizes:
        part = max(sizes, key=sizes.__getitem__)
        made.append((LEFT_OUT if part == "value" else f"{LEFT_OUT}_{part}", str(sizes.pop(part)).encode()))
    return Output(
        wire.dlq_topic(dataset),
        0,
        key if "key" in sizes else None,
        original if "value" in sizes else None,
        [*(headers if "headers" in sizes else ()), *made],
    )
