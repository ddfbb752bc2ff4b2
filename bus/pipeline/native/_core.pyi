from collections.abc import Sequence

from bus.pipeline.native import Target
from bus.pipeline.native.program import Program
from bus.pipeline.record import InputRecord, Output

class Interpreter:
    def __init__(self, program: Program, target: Target | None = None) -> None: ...
    def convert(self, key: bytes, value: bytes) -> bytes | None: ...
    def outputs(self, records: Sequence[InputRecord]) -> list[Output | None]: ...
