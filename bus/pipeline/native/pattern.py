"""Regular expressions that are simple enough to be tried on bytes: alternatives of counted ASCII character classes."""

from __future__ import annotations

import re
from re import _parser  # type: ignore[attr-defined]  # the tree has no public name
from typing import Any, Final

Item = tuple[frozenset[int], int, int]
"""So many characters, at least and at most, of a class of ASCII codes."""

_MOST_ITEMS: Final = 32
_MOST_VARIABLE: Final = 3
"""Items of a way that may be longer or shorter: each multiplies the ways to divide a text."""
_MOST_REPEATS: Final = 1_000


class _TooMuchError(Exception):
    """Something that is left to `re`."""


def simple_ways(pattern: str) -> tuple[tuple[Item, ...], ...] | None:
    """The pattern as alternatives, each a sequence of items that must take the whole text; None: left to `re`."""
    try:
        parsed = _parser.parse(pattern)
        if parsed.state.flags != re.UNICODE:
            return None
        return tuple(_ways(list(parsed)))
    except _TooMuchError:
        return None


def _ways(parts: list[Any]) -> list[tuple[Item, ...]]:
    if len(parts) == 1 and str(parts[0][0]) == "BRANCH":
        return [_items(list(branch)) for branch in parts[0][1][1]]
    return [_items(parts)]


def _items(parts: list[Any]) -> tuple[Item, ...]:
    items = tuple(_item(str(operation), argument) for operation, argument in parts)
    variable = sum(least != most for _, least, most in items)
    if len(items) > _MOST_ITEMS or variable > _MOST_VARIABLE:
        raise _TooMuchError
    return items


def _item(operation: str, argument: Any) -> Item:
    if operation != "MAX_REPEAT":
        return _class(operation, argument), 1, 1
    least, most, body = argument
    if len(body) != 1 or most > _MOST_REPEATS:
        raise _TooMuchError
    return _class(str(body[0][0]), body[0][1]), least, most


def _class(operation: str, argument: Any) -> frozenset[int]:
    if operation == "LITERAL":
        return _ascii(range(argument, argument + 1))
    if operation != "IN":
        raise _TooMuchError
    found: frozenset[int] = frozenset()
    for kind, value in argument:
        if str(kind) == "LITERAL":
            found |= _ascii(range(value, value + 1))
        elif str(kind) == "RANGE":
            found |= _ascii(range(value[0], value[1] + 1))
        else:
            raise _TooMuchError
    return found


def _ascii(codes: range) -> frozenset[int]:
    if codes.stop > 128:
        raise _TooMuchError
    return frozenset(codes)
