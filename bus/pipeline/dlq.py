"""Dead letters, on `dlq.<dept>.<dataset>`: the rejected record, and in headers why it was rejected, never a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bus import wire
from bus.pipeline.record import Output

if TYPE_CHECKING:
    from bus.wire import Header


PREFIX: Final = "bus_reject_"
LEFT_OUT: Final = f"{PREFIX}left_out"
"""Header of a letter that is too large with the original's bytes: how many there were."""

_MAX_LETTER_BYTES: Final = 1_040_000
"""Of key, value and headers; Kafka's default limit is 1,048,588, a record's framing included."""


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


def dead_letter(dataset: str, key: bytes | None, original: bytes | None, headers: list[Header]) -> Output:
    """The dead letter of a reject; without the original's bytes where the broker would not take them.

    Args:
        dataset: `<dept>.<dataset>`.
        key: of the reject.
        original: its bytes.
        headers: of the original, and `reject_headers`.
    """
    size = len(key or b"") + len(original or b"") + sum(len(name) + len(value or b"") for name, value in headers)
    if size > _MAX_LETTER_BYTES:
        headers, original = [*headers, (LEFT_OUT, str(len(original or b"")).encode())], None
    return Output(wire.dlq_topic(dataset), 0, key, original, headers)
