"""The stage that fans shared records out to views: decode once, project and mask per view. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bus import wire
from bus.pipeline.record import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bus.pipeline.codec import Decoders
    from bus.pipeline.record import InputRecord


@dataclass(frozen=True, slots=True)
class ViewOutput:
    """A view of an entity, as the stage needs it.

    Attributes:
        topic: `view.<name>.v<N>`.
        partitions: of that topic; divides the shared topic's, so that the partition follows without hashing anew.
        event_type: `ce_type`.
        revision: of the view; a part of `ce_id`.
        project: from a canonical record to the view's record.
        encode: from the view's record to a framed value.
    """

    topic: str
    partitions: int
    event_type: bytes
    revision: int
    project: Callable[[dict[str, Any]], dict[str, Any]]
    encode: Callable[[Any], bytes]


class EntityRouter:
    """Routes one entity's records to its views."""

    def __init__(self, views: Sequence[ViewOutput], decoders: Decoders) -> None:
        self._views = [(view, ("ce_type", view.event_type), f"/v{view.revision}".encode()) for view in views]
        self._decoders = decoders

    def __call__(self, record: InputRecord) -> list[Output]:
        """One output per view.

        Raises:
            UnknownSchemaError: the writer schema is not at hand yet.
            BadRecordError: the shared record does not decode, which only a foreign writer can cause.
        """
        value = record.value
        canonical = None if value is None else self._decoders.decode(wire.schema_id(value), value)
        found = dict(record.headers)
        made = []
        for view, event_type, suffix in self._views:
            headers = wire.derived_headers(found, suffix, event_type)
            body = None if canonical is None else view.encode(view.project(canonical))
            made.append(Output(view.topic, record.partition % view.partitions, record.key, body, headers))
        return made


class Route:
    """The stage: each shared topic has its entity's router."""

    def __init__(self, routers: Mapping[str, EntityRouter]) -> None:
        self._routers = routers

    def __call__(self, records: Sequence[InputRecord]) -> list[Output]:
        """The outputs of all views, in the records' order.

        Raises:
            UnknownSchemaError: a writer schema is not at hand yet.
        """
        if not records:
            return []
        router = self._routers[records[0].topic]
        return [output for record in records for output in router(record)]
