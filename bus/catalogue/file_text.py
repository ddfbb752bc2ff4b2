"""The text of a file that a workspace names: a regular one, of a size that a person could have meant."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_FILE: Final = 16 * 1024 * 1024
DEEPEST: Final = 64
"""Lists and mappings inside one another; what reads them later calls itself for each."""

TOO_DEEP: Final = f"nested too deeply: {DEEPEST} lists and mappings inside one another are allowed"
HALF_A_CHARACTER: Final = "holds half a character (a lone surrogate, \\ud800 to \\udfff)"
WRITE_WHOLE: Final = "write the character itself"


class UnusableFileError(Exception):
    """It is no file that can be read whole."""


def read_text(file: Path) -> str:
    """The file's text, UTF-8 with or without a byte order mark.

    Raises:
        OSError: it is not there, or may not be read.
        UnicodeDecodeError: it is not UTF-8.
        UnusableFileError: it is no regular file, or too large; says so.
    """
    if "\0" in str(file):
        raise UnusableFileError("no file is called that")
    found = file.stat()
    if not stat.S_ISREG(found.st_mode):
        raise UnusableFileError("it is not a regular file")
    if found.st_size > LARGEST_FILE:
        raise UnusableFileError(f"it has {found.st_size:,} bytes; {LARGEST_FILE:,} are allowed")
    return file.read_text("utf-8-sig")


def is_too_deep(value: Any) -> bool:
    """Whether there are more than DEEPEST lists and mappings inside one another."""
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [inner for outer in level for inner in _inside(outer)]
    return bool(level)


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def is_whole(text: str) -> bool:
    """Whether the text can be written as UTF-8: no half of a character stands in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
