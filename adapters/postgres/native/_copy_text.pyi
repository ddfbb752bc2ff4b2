from collections.abc import Sequence

def buffers(
    kinds: Sequence[tuple[str, int]], messages: Sequence[memoryview]
) -> tuple[bytes, list[list[bytes | None]]]: ...
