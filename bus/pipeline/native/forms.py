"""Formats of dates that are simple enough to be read from bytes: what stands there tells where each number ends."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from bus.pipeline.mapping.date_format import format_parts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Part = tuple[str, int, int]
"""What is read (year, month, day, hour, minute, second, fraction), and its digits, at least and at most; of literal
text, an empty word, and each of its bytes twice."""


def native_forms(formats: Iterable[str]) -> tuple[tuple[Part, ...], ...] | None:
    """The formats; None: they are left to `re`."""
    forms = tuple(tuple(_parts(text)) for text in formats)
    return forms if all(map(_is_told_apart, forms)) else None


def _parts(text: str) -> Iterator[Part]:
    for part in format_parts(text):
        if isinstance(part, str):
            yield from (("", byte, byte) for byte in part.encode())
        else:
            yield part


def _is_told_apart(form: tuple[Part, ...]) -> bool:
    """Whether no digit can follow on a number of which it might be one."""
    return all(
        one[1] == one[2] or (other[0] == "" and not ord("0") <= other[1] <= ord("9")) for one, other in pairwise(form)
    )
