"""Records of shared of which no view can be made: each becomes a dead letter, and its lane goes on behind it.

Only who writes to shared besides the bus can cause one: the bus's own records decode. Nothing of raw stands behind it,
so that it is never redriven; the views keep the key's last good version until its next change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from bus import wire
from bus.pipeline.codec import MissingSchemaError, UnencodableError, UnknownSchemaError
from bus.pipeline.dlq import DeadLetters
from bus.pipeline.reject import UNDECODABLE, Reject, RejectedError, undecodable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bus.pipeline.record import InputRecord, Made

_log = structlog.get_logger()


def reject_of(error: Exception, record: InputRecord) -> Reject:
    """Why a record cannot be routed, given what was raised when that was tried with it alone.

    Raises:
        UnknownSchemaError: its writer's schema is not at hand yet.
        MissingSchemaError: the registry does not have it. It may be the wrong registry, and everything here good: then
            nothing must be passed over.
    """
    if isinstance(error, UnknownSchemaError):
        raise error
    if isinstance(error, MissingSchemaError):
        raise MissingSchemaError(error.schema_id, where=place_of(record)) from None
    if isinstance(error, RejectedError):
        return error.reject
    if isinstance(error, UNDECODABLE):
        return undecodable(error)
    # Whatever it is, of whoever can write here, it must not stop all that come after it.
    return Reject(rule="schema", field="", reason=f"no view can be made of it ({_kind(error)})")


def dead_letters(records: Sequence[InputRecord], rejects: Mapping[int, Reject], feeds: Mapping[str, str]) -> list[Made]:
    """The dead letters of records of one partition of shared.

    Args:
        records: among which the rejected ones are.
        rejects: by place.
        feeds: see `EntityViews`; one at least. A record that bears the source of none has its letter with the first.
    """
    letters: dict[str, DeadLetters] = {}
    if rejects:
        _log.warning("not routed", topic=records[0].topic, partition=records[0].partition, records=len(rejects))
    for place, reject in rejects.items():
        record = records[place]
        source = wire.header_texts(record.headers).get("ce_source", "")
        dataset = feeds.get(wire.system_of(source)) or next(iter(feeds.values()))
        if dataset not in letters:
            letters[dataset] = DeadLetters("route", dataset, (record.topic, record.partition), records)
        letters[dataset].add(place, reject, record.topic.removeprefix("shared."))
    return [made for each in letters.values() for made in each.made()]


def place_of(record: InputRecord) -> str:
    """Topic, partition and offset, in words."""
    return f"{record.topic}, partition {record.partition}, offset {record.offset}"


def _kind(error: Exception) -> str:
    """What it is, without a value: the texts of errors that are not ours may hold some."""
    return error.detail if isinstance(error, UnencodableError) else type(error).__name__
