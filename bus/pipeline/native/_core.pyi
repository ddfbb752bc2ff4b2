from typing import Any

from bus.kafka.native import Packing, Records
from bus.pipeline.native import Target
from bus.pipeline.native.program import Program
from bus.pipeline.reject import Reject

class Bodies:
    def __init__(self, count: int) -> None: ...

class Interpreter:
    program: Program
    alike: Any
    broken: Reject | None
    def __init__(self, program: Program, target: Target | None = None) -> None: ...
    def convert(self, key: bytes, value: bytes) -> bytes | None: ...
    def take(
        self,
        records: Records,
        place: int,
        stop: int,
        made: Packing,
        bodies: Bodies | None = None,
        rejects: dict[int, Reject] | None = None,
    ) -> int: ...
    def take_some(
        self, records: Records, places: list[int], first: int, made: Packing, bodies: Bodies | None = None
    ) -> int: ...
    def fields(self, records: Records, names: tuple[int, ...]) -> list[bytes | None]: ...
