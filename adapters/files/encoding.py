"""In which encoding a dump is written."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Final

from charset_normalizer import from_bytes

from adapters.files.faults import DumpRefusedError
from adapters.files.names import shown

if TYPE_CHECKING:
    from pathlib import Path

CHUNK: Final = 1 << 20
SAMPLE_LINES: Final = 2_000
MOSTLY: Final = 0.9
"""So many of the lines that are not ASCII must be well-formed UTF-8; the others are bad rows of a UTF-8 file."""

CANDIDATES: Final = ["gb18030", "big5", "utf_16_le", "utf_16_be", "shift_jis", "euc_kr"]
SUPPORTED: Final = {"gb18030": "gb18030", "gbk": "gb18030", "gb2312": "gb18030", "hz": "gb18030"}


def encoding_of(path: Path, declared: str) -> str:
    """Python's codec for a dump.

    Args:
        path: of the dump.
        declared: the codec that the configuration names; empty to detect it.

    Raises:
        DumpRefusedError: it is not in the declared encoding, or in none that can be told.
    """
    head, sample = _sample(path)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DumpRefusedError("it is UTF-16", where=f"{shown(path.name)}:1", fix="write it as UTF-8 or GB18030")
    bom = head.startswith(codecs.BOM_UTF8)
    if not sample and not bom:
        return declared or "utf-8"
    is_utf8 = bom or _share_of_utf8(sample) >= MOSTLY
    if declared:
        if (declared == "utf-8") != is_utf8 and (not is_utf8 or bom or _has_wide(sample)):
            _refuse_declared(path, declared, "utf-8" if is_utf8 else _guess(sample))
        return declared
    if is_utf8:
        return "utf-8"
    guess = _guess(sample)
    if guess not in SUPPORTED:
        raise DumpRefusedError(
            f"its encoding cannot be told for sure ({guess or 'neither UTF-8 nor GB18030'})",
            where=shown(path.name),
            fix="name it in the dataset's `encoding`: utf-8, gb18030 or big5",
        )
    return SUPPORTED[guess]


def _refuse_declared(path: Path, declared: str, found: str) -> None:
    readable = found if found in SUPPORTED or found == "utf-8" else "auto"
    raise DumpRefusedError(
        f"the dataset's `encoding` says {declared}, but it is not: it looks like {found or 'another one'}",
        where=shown(path.name),
        fix=f"write the dump as {declared}, or set `encoding: {readable}`",
    )


def _sample(path: Path) -> tuple[bytes, list[bytes]]:
    """The first bytes, and lines that are not ASCII, from the first chunk that has some."""
    with path.open("rb") as opened:
        head = opened.read(4)
        opened.seek(0)
        while lines := opened.readlines(CHUNK):
            if found := [line for line in lines if not line.isascii()]:
                return head, found[:SAMPLE_LINES]
    return head, []


def _share_of_utf8(lines: list[bytes]) -> float:
    good = 0
    for line in lines:
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            continue
        good += 1
    return good / len(lines) if lines else 1.0


def _has_wide(lines: list[bytes]) -> bool:
    """A Chinese character in UTF-8, three bytes: two letters of GB18030 may look like other UTF-8 by chance."""
    return any(max(line.decode("utf-8", "ignore"), default="") >= "\u0800" for line in lines)


def _guess(lines: list[bytes]) -> str:
    """The codec by charset-normalizer's judgement; GB18030 where it has none and every line is well-formed in it."""
    text = b"".join(lines)[: CHUNK // 16]
    text = text[: text.rfind(b"\n") + 1] or text
    best = from_bytes(text, cp_isolation=CANDIDATES).best()
    if best is not None:
        return str(best.encoding)
    try:
        text.decode("gb18030")
    except UnicodeDecodeError:
        return ""
    return "gb18030"
