"""How long a regular expression may search: Python's tries every way in which a text can be divided among its repeats.

Nothing stops such a search, not even a signal, and a text of 30 characters can keep `(a+)+` busy for hours. So a
mapping's pattern has no repeat whose body can itself match in several ways, and texts are shorter the more unbounded
repeats stand side by side.
"""

from __future__ import annotations

import re
from re import _parser  # type: ignore[attr-defined]  # the tree has no public name
from typing import Any, Final

LONGEST_TEXT: Final = 10_000
"""Characters of a text that a pattern is tried on."""

MOST_WAYS: Final = 10_000_000
"""Ways to match that a pattern's bounded parts may have together: about a second."""

STEPS: Final = 10.0**8
MOST_UNBOUNDED: Final = 4
UNBOUNDED: Final = 1_000
"""A repeat that may happen more often counts as unbounded."""


class _EndlessError(ValueError):
    """A part of the pattern may take for ever."""


def pattern_fault(pattern: str) -> str:
    """Why a pattern that compiles may search for ever; empty if it does not."""
    try:
        ways, unbounded = _of_sequence(_parser.parse(pattern))
    except _EndlessError as error:
        return str(error)
    if unbounded > MOST_UNBOUNDED:
        return f"has {unbounded} repeats without a bound; {MOST_UNBOUNDED} are allowed"
    return "can match in too many ways" if ways > MOST_WAYS else ""


def longest_text(pattern: str) -> int:
    """Characters of the longest text that the pattern is to be tried on."""
    try:
        unbounded = _of_sequence(_parser.parse(pattern))[1]
    except _EndlessError:
        return 20
    return min(LONGEST_TEXT, int(STEPS ** (1 / max(unbounded, 1))))


def compiles(value: str) -> str:
    """The pattern itself.

    Raises:
        ValueError: it is not a regular expression; says why.
    """
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    except (RecursionError, OverflowError):
        raise ValueError("not a regular expression: it is nested too deeply, or repeats too often") from None
    return value


def _of_sequence(parts: Any) -> tuple[int, int]:
    """In how many ways the bounded parts can match, and how many unbounded repeats there are."""
    ways, unbounded = 1, 0
    for operation, argument in parts:
        more, open_ones = _of_part(str(operation), argument)
        ways = min(ways * more, MOST_WAYS + 1)
        unbounded += open_ones
    return ways, unbounded


def _of_part(operation: str, argument: Any) -> tuple[int, int]:
    if operation.endswith("_REPEAT"):
        return _of_repeat(*argument)
    if operation == "BRANCH":
        branches = [_of_sequence(branch) for branch in argument[1]]
        return sum(ways for ways, _ in branches), max(unbounded for _, unbounded in branches)
    if operation == "GROUPREF_EXISTS":
        branches = [_of_sequence(branch) for branch in argument[1:] if branch]
        return 1 + sum(ways for ways, _ in branches), max(unbounded for _, unbounded in branches)
    if operation == "GROUPREF":
        return 2, 0
    if operation in {"SUBPATTERN", "ASSERT", "ASSERT_NOT"}:
        return _of_sequence(argument[-1])
    return _of_sequence(argument) if operation == "ATOMIC_GROUP" else (1, 0)


def _of_repeat(least: int, most: int, body: Any) -> tuple[int, int]:
    ways, unbounded = _of_sequence(body)
    if unbounded and most > 1:
        raise _EndlessError("has a repeat without a bound inside another repeat")
    if most > UNBOUNDED:
        if ways > 1:
            raise _EndlessError("has a choice (`|`, `?`, `{m,n}` or a back reference) inside a repeat without a bound")
        return (1, 0) if least == most else (1, 1)
    return min(ways**most * (most - least + 1), MOST_WAYS + 1), unbounded
