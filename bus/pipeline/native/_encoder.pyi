from collections.abc import Sequence
from typing import Any

from bus.pipeline.ingest import RawDataset
from bus.pipeline.native.shapes import Shape
from bus.pipeline.record import Output
from bus.spi import Change
from bus.wire import Header

class Encoder:
    def __init__(self, shape: Shape, head: bytes) -> None: ...
    def encode(self, record: Any) -> bytes | None: ...

class Told:
    def __init__(self, unit: str, transaction: str | None, time: int, time_header: Header) -> None: ...

class ChangeEncoder:
    def __init__(
        self,
        shape: Shape,
        head: bytes,
        dataset: RawDataset,
        topic: str,
        type_header: Header,
        source_header: Header,
    ) -> None: ...
    def record(self, told: Told, change: Change, key: bytes, released: bool, last: bool) -> Output | None: ...

def records(
    encoders: dict[str, ChangeEncoder],
    told: Told,
    changes: Sequence[Change],
    place: int,
    end: int,
    done: int,
    made: list[Output],
) -> int: ...
