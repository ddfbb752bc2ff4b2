"""File names: as the file system has them (bytes that are not UTF-8 stand as surrogates, PEP 383), and as told."""

from __future__ import annotations

import hashlib
import os
import re
from typing import Final

LONGEST: Final = 255
"""Bytes of a name on the file systems of Linux."""

TAIL: Final = 16
"""Characters at the end of a name that stay when it is shortened: its extension."""

_SHORTENED: Final = re.compile("~[0-9a-f]{16}~")


def shown(name: str) -> str:
    """A name for people, logs and headers: one that is not UTF-8 is read as GB 18030, what is not that is escaped."""
    data = os.fsencode(name)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("gb18030", "backslashreplace")


def around(before: str, name: str, after: str) -> str:
    """A name made of another one; if it is too long, a hash of the whole name stands for its middle."""
    if len(os.fsencode(before + name + after)) <= LONGEST:
        return before + name + after
    mark = f"~{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}~"
    head, end = name[:-TAIL], f"{mark}{name[-TAIL:]}{after}"
    while head and len(os.fsencode(before + head + end)) > LONGEST:
        head = head[:-1]
    return before + head + end


def is_shortened(name: str) -> bool:
    """A hash stands for its middle."""
    return _SHORTENED.search(name) is not None
