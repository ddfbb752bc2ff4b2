"""Formats of dates that are simple enough to be read from bytes: what stands there tells where each number ends."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from bus.pipeline.mapping.date_format import TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Part = tuple[str, int, int]
"""What is read (year, month, day, hour, minute, second, fraction), and its digits, at least and at most; of literal
text, an empty word, and each of its bytes twice."""

_DIGITS: Final = {
    "YYYY": ("year", 4, 4),
    "MM": ("month", 2, 2),
    "DD": ("day", 2, 2),
    "hh": ("hour", 2, 2),
    "mm": ("minute", 2, 2),
    "ss": ("second", 2, 2),
    "M": ("month", 1, 2),
    "D": ("day", 1, 2),
    "h": ("hour", 1, 2),
    "f": ("fraction", 1, 6),
}


def native_forms(formats: Iterable[str]) -> tuple[tuple[Part, ...], ...] | None:
    """The formats; None: they are left to `re`."""
    forms = tuple(tuple(_parts(text)) for text in formats)
    return forms if all(map(_is_told_apart, forms)) else None


def _parts(text: str) -> Iterator[Part]:
    end = 0
    for token in TOKEN.finditer(text):
        yield from _literal(text[end : token.start()])
        yield _DIGITS[token[0]]
        end = token.end()
    yield from _literal(text[end:])


def _literal(text: str) -> Iterator[Part]:
    for byte in text.encode():
        yield "", byte, byte


def _is_told_apart(form: tuple[Part, ...]) -> bool:
    """Whether no digit can follow on a number of which it might be one."""
    return all(
        one[1] == one[2] or (other[0] == "" and not ord("0") <= other[1] <= ord("9")) for one, other in pairwise(form)
    )
