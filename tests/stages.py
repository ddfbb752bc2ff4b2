"""Records through a stage as a lane takes them: fetched in batches where the compiled code is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bus.kafka.native import Records
from bus.pipeline import native
from bus.pipeline.record import one_by_one

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bus.pipeline.record import Made, Output


def fetched(records: Sequence[Any]) -> Sequence[Any]:
    """Records of one partition, as a lane's consumer hands them over."""
    if not records or not native.is_used():
        return records
    return Records.of(records[0].topic, records[0].partition, records)


def through(stage: Callable[[Sequence[Any]], Iterable[Made]], records: Sequence[Any]) -> list[Output]:
    """What a stage makes of records of one partition, one by one."""
    return list(one_by_one(stage(fetched(records))))
