from collections.abc import Callable

from bus.pipeline.native.filter_program import FilterProgram

class Filters:
    def __init__(self, program: FilterProgram) -> None: ...
    def holds(self, content: bytes) -> bool: ...
    def hits(
        self, contents: list[bytes | None], by_reference: Callable[[int], tuple[int, ...]]
    ) -> list[tuple[int, ...]]: ...
