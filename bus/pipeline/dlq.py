"""Dead letters, on `dlq.<dept>.<dataset>`: the rejected record, and in headers why it was rejected, never a value."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from bus import wire
from bus.kafka.native import IS_BUILT, Packed, Records, header_bytes
from bus.pipeline.record import Output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.pipeline.record import InputRecord, Made
    from bus.pipeline.reject import Reject
    from bus.wire import Header


PREFIX: Final = "bus_reject_"
RULE: Final = f"{PREFIX}rule"
ORIGIN: Final = f"{PREFIX}origin"
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
    sizes = {"value": len(original or b""), "headers": wire.record_size(None, None, headers), "key": len(key or b"")}
    sent = sizes | {"headers": _header_bytes(headers) + _number_bytes(len(headers))}
    room = wire.MAX_SENT_BYTES - _header_bytes(told)
    if sum(sent.values()) <= room:
        return Output(wire.dlq_topic(dataset), 0, key, original, [*headers, *told])
    made = [*told]
    while sum(sent.values()) > room and sent:
        part = max(sent, key=sent.__getitem__)
        del sent[part]
        made.append((LEFT_OUT if part == "value" else f"{LEFT_OUT}_{part}", str(sizes[part]).encode()))
    return Output(
        wire.dlq_topic(dataset),
        0,
        key if "key" in sent else None,
        original if "value" in sent else None,
        [*(headers if "headers" in sent else ()), *made],
    )


def _header_bytes(headers: Sequence[Header]) -> int:
    """Bytes of headers as they stand in a record: a foreign one may consist of little but their framing."""
    framing = sum(_number_bytes(len(name.encode())) + _number_bytes(len(content or b"")) for name, content in headers)
    return wire.record_size(None, None, headers) + framing


def _number_bytes(number: int) -> int:
    """Of a number from 0 on, zig-zag and with seven bits in a byte (Kafka's documentation, "Record")."""
    return max(1, ((2 * number).bit_length() + 6) // 7)


class DeadLetters:
    """The dead letters of records of one partition, in the order in which they are added.

    Where these are whole batches, compiled code copies a record as it stands; one that is too large so is made small by
    `dead_letter`.

    Args:
        stage: see `reject_headers`.
        dataset: `<dept>.<dataset>`.
        source: topic and partition of the records.
        records: among which the rejected ones are.
    """

    def __init__(self, stage: str, dataset: str, source: tuple[str, int], records: Sequence[InputRecord]) -> None:
        self._stage = stage
        self._dataset = dataset
        self._source = f"{source[0]}/{source[1]}/"
        self._records = records
        self._outputs: list[Output] = []
        whole = IS_BUILT and isinstance(records, Records)
        self._packed = Packed(wire.dlq_topic(dataset), 0) if whole else None

    def add(self, place: int, reject: Reject, entity: str) -> None:
        """The record at a place is rejected by the mapping of an entity."""
        if self._packed is not None and isinstance(self._records, Records):
            told, entity_told, count = _told(self._stage, reject.rule, reject.field, reject.reason, entity)
            more = (
                told + header_bytes([(ORIGIN, f"{self._source}{self._records.offset(place)}".encode())]) + entity_told
            )
            if self._records.copy_into(place, self._packed, more, count, wire.MAX_SENT_BYTES):
                return
        record = self._records[place]
        origin = f"{self._source}{record.offset}"
        headers = reject_headers(self._stage, reject.rule, reject.field, reject.reason, origin, entity)
        letter = dead_letter(self._dataset, record.key, record.value, record.headers, headers)
        if self._packed is not None:
            self._packed.append(letter.key, letter.value, letter.headers)
        else:
            self._outputs.append(letter)

    def made(self) -> list[Made]:
        """All of them."""
        return [self._packed] if self._packed is not None and self._packed.count else [*self._outputs]


@lru_cache(maxsize=1024)
def _told(stage: str, rule: str, field: str, reason: str, entity: str) -> tuple[bytes, bytes, int]:
    """Headers as they stand in a record, before and behind the origin, and how many with it; the same come again."""
    headers = reject_headers(stage, rule, field, reason, "", entity)
    own = len(headers) - bool(entity)
    return header_bytes(headers[:own]), header_bytes(headers[own:]), len(headers) + 1
