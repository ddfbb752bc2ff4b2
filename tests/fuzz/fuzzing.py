"""Mutates the inputs of a corpus and runs a target on them; a new way through the compiled code makes an input stay.

What guides it: the edges of `edges.c`, where the compiled code was built for it and that is preloaded, as
`deploy/sanitize.sh` does. Otherwise nothing does: then it only tries what lies near the corpus, as in CI's short run.

    python -m tests.fuzz.fuzzing batch 600 [--keep]

goes on for so many seconds; with --keep, the corpus is made anew of the shortest inputs that it finds.
"""

from __future__ import annotations

import ctypes
import hashlib
import mmap
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

from tests.fuzz.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Callable

CORPUS: Final = Path(__file__).parent / "corpus"
MOST_BYTES: Final = 4096
"""Of an input."""

_ODD: Final = (
    *(b"\0", b"\x01", b"\x02", b"\x7f", b"\x80", b"\xff", b"\xff\xff\xff\xff", b"\x80\0\0\0", b"\x7f\xff\xff\xff"),
    *(b"\xfe\xff\xff\xff\x0f", b"\xff" * 9 + b"\x01", b"\xfe" + b"\xff" * 8 + b"\x01", b"\x80" * 9 + b"\x01"),
    *("１".encode(), "·".encode(), b"\xed\xa0\x80", b"X", b"19000229", b"2024-02-30"),
)


class Edges:
    """The ways through the compiled code, as far as they are told."""

    def __init__(self) -> None:
        loaded = ctypes.CDLL(None)
        self.are_told = hasattr(loaded, "edges_new")
        self._begin = loaded.edges_begin if self.are_told else lambda: None
        self._new = loaded.edges_new if self.are_told else lambda: 0
        if self.are_told:
            loaded.edges_forget()

    def new_in(self, run: Callable[[bytes], None], content: bytes) -> int:
        """How many edges a run has that none had before."""
        self._begin()
        run(content)
        return int(self._new())


def corpus(target: str) -> list[bytes]:
    """The inputs that are kept."""
    return [file.read_bytes() for file in sorted((CORPUS / target).iterdir())]


def mutated(random: Random, inputs: list[bytes]) -> bytes:
    """An input, changed in a few places."""
    made = bytearray(random.choice(inputs))
    for _ in range(1 << random.randrange(4)):
        start = random.randrange(len(made) + 1)
        end = min(len(made), start + random.choice((0, 0, 1, 1, 2, 4, 8, 32)))
        match random.randrange(6):
            case 0 if start < len(made):
                made[start] ^= 1 << random.randrange(8)
            case 1 if start < len(made):
                made[start] = (made[start] + random.randint(-4, 4)) & 0xFF
            case 2:
                made[start:end] = random.choice(_ODD)
            case 3:
                other = random.choice(inputs)
                begin = random.randrange(len(other) + 1)
                made[start:end] = other[begin : begin + random.randrange(64)]
            case 4:
                made[start:end] = made[start:end] * random.choice((0, 2, 3))
            case _:
                made[start:end] = random.randbytes(end - start)
    return bytes(made[:MOST_BYTES])


def fuzz(target: str, seconds: float, seed: int | None = None) -> tuple[int, list[bytes]]:
    """Run a target so long: how many runs that was, and the inputs that went a way of their own.

    The last input is in a file: whatever ends the process, that is what it died of.
    """
    run, edges, random = TARGETS[target], Edges(), Random(seed)
    inputs = corpus(target)
    found = [content for content in inputs if edges.new_in(run, content)]
    with tempfile.NamedTemporaryFile(prefix=f"fuzz-{target}-", delete=False) as file:
        file.truncate(MOST_BYTES + 4)
        last = mmap.mmap(file.fileno(), 0)
    until, runs = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        content = mutated(random, inputs)
        last[: 4 + len(content)] = len(content).to_bytes(4, "big") + content
        try:
            is_new = edges.new_in(run, content)
        except Exception as error:
            error.add_note(f"on the input {content.hex()}")
            raise
        if is_new:
            inputs.append(content)
            found.append(content)
        runs += 1
    Path(file.name).unlink()
    return runs, found


def keep(target: str, found: list[bytes]) -> None:
    """Make the corpus of these: of those that go the same ways only the shortest."""
    edges, folder = Edges(), CORPUS / target
    kept = [content for content in sorted(found, key=len) if edges.new_in(TARGETS[target], content)]
    for file in folder.iterdir():
        file.unlink()
    for content in kept:
        (folder / hashlib.sha256(content).hexdigest()[:16]).write_bytes(content)


def main(target: str, seconds: str, *chosen: str) -> None:
    """The command."""
    is_guided = Edges().are_told
    runs, found = fuzz(target, float(seconds))
    guided = "guided by edges" if is_guided else "not guided: the compiled code tells no edges"
    sys.stdout.write(f"{target}: {runs} runs, {guided}; {len(found)} inputs go ways of their own\n")
    if is_guided and "--keep" in chosen:
        keep(target, found)


if __name__ == "__main__":
    main(*sys.argv[1:])
