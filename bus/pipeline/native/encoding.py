"""The native encoder, where there is one: records and changes as Avro bytes, for what it knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastavro import parse_schema

from bus import wire
from bus.pipeline import native
from bus.pipeline.envelope import row_schema
from bus.pipeline.native.nodes import NotNativeError
from bus.pipeline.native.shapes import shape_of

try:
    from bus.pipeline.native import _encoder
except ImportError:  # installed from source where there was no compiler
    _encoder = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bus.pipeline.ingest import RawDataset
    from bus.pipeline.native._encoder import ChangeEncoder, Told
    from bus.pipeline.record import Output
    from bus.spi import Batch, Change


def is_used() -> bool:
    """Whether rows and changes go through the compiled code."""
    return _encoder is not None and native.is_used()


def record_encoder(parsed: Any, head: bytes) -> Callable[[Any], bytes | None]:
    """A function from a record to its bytes behind `head`, or to None: it is the reference's.

    Args:
        parsed: schema of the record, parsed by fastavro.
        head: what stands before it.
    """
    if _encoder is None:
        return given_up
    try:
        return _encoder.Encoder(shape_of(parsed), head).encode
    except NotNativeError:
        return given_up


def given_up(_: Any) -> None:
    """The encoder of records that only the reference can encode."""


def change_encoder(dataset: RawDataset, schema_id: int, schema: dict[str, Any]) -> ChangeEncoder | None:
    """Makes a dataset's raw records; None where only the reference can.

    Args:
        dataset: whose.
        schema_id: of its envelope.
        schema: of its envelope.
    """
    if not is_used():
        return None
    topic = wire.raw_topic(dataset.name)
    headers = wire.CloudEvent("", topic, dataset.source, "").headers()
    try:
        row = shape_of(row_schema(parse_schema(schema)))
        return _encoder.ChangeEncoder(row, wire.frame(schema_id), dataset, topic, headers[2], headers[3])
    except NotNativeError:
        return None


def told_of(batch: Batch) -> Told | None:
    """What a batch's records have in common; None where only the reference can make them."""
    if not is_used():
        return None
    try:
        return _encoder.Told(
            batch.unit, batch.transaction, batch.time, ("ce_time", wire.timestamp(batch.time).encode())
        )
    except (TypeError, ValueError, ArithmeticError, OSError):
        return None


def records(  # noqa: PLR0913, PLR0917  what the compiled loop needs at once
    encoders: dict[str, ChangeEncoder],
    told: Told,
    changes: Sequence[Change],
    places: range,
    done: int,
    made: list[Output],
) -> int:
    """Make the records of changes one after the other, as long as they do not touch their keys.

    Args:
        encoders: by the source's name of their dataset; changes of others are not for us.
        told: of their batch.
        changes: of the batch.
        places: of those to be made, of which there may be less.
        done: number of the unit's changes that were put out before.
        made: where the records are added; the last one is that of the change before the returned place.

    Returns:
        The place of the first change that is given up, or behind the last one.
    """
    return _encoder.records(encoders, told, changes, places.start, places.stop, done, made)
