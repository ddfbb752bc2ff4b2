"""Dates and times in the forms that people type: `YYYYMMDD`, `YYYY-MM-DD`, `YYYY/M/D`, `YYYY年M月D日`, with `hh:mm:ss`.

A format is literal text with tokens: YYYY, MM and M (with and without leading zero), DD and D, hh and h, mm, ss,
f (fraction of a second, 1 to 6 digits). M, D and h take both `3` and `03`.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Token(NamedTuple):
    """A number in a format.

    Attributes:
        name: year, month, day, hour, minute, second or fraction.
        least, most: its digits.
    """

    name: str
    least: int
    most: int


_TOKENS: Final = {
    "YYYY": Token("year", 4, 4),
    "MM": Token("month", 2, 2),
    "DD": Token("day", 2, 2),
    "hh": Token("hour", 2, 2),
    "mm": Token("minute", 2, 2),
    "ss": Token("second", 2, 2),
    "M": Token("month", 1, 2),
    "D": Token("day", 1, 2),
    "h": Token("hour", 1, 2),
    "f": Token("fraction", 1, 6),
}
_TOKEN: Final = re.compile(f"({'|'.join(_TOKENS)})")


def format_parts(text: str) -> list[str | Token]:
    """A format's numbers, and the texts before, between and behind them."""
    return [_TOKENS.get(part, part) if place % 2 else part for place, part in enumerate(_TOKEN.split(text))]


def date_pattern(text: str) -> re.Pattern[str]:
    """The regular expression of a format.

    Raises:
        ValueError: it names no year, month and day, or one of them twice.
    """
    parts = [re.escape(part) if isinstance(part, str) else _expression(part) for part in format_parts(text)]
    try:
        pattern = re.compile("".join(parts))
    except re.error:
        raise ValueError(f"{text!r} names a part twice") from None
    if not {"year", "month", "day"} <= pattern.groupindex.keys():
        raise ValueError(f"{text!r} is no date format: it needs YYYY, MM or M, and DD or D")
    return pattern


def _expression(token: Token) -> str:
    return f"(?P<{token.name}>[0-9]{{{token.least},{token.most}}})"


def _moment(match: re.Match[str]) -> dt.datetime:
    found = match.groupdict()
    date = (int(found["year"]), int(found["month"]), int(found["day"]))
    hour, minute, second = (int(found.get(name, 0)) for name in ("hour", "minute", "second"))
    fraction = int(found.get("fraction", "").ljust(6, "0"))
    return dt.datetime(*date, hour, minute, second, fraction)  # noqa: DTZ001  the zone is the caller's


def moment_parser(formats: Sequence[str]) -> Callable[[str], dt.datetime]:
    """A function from text to a time without zone, by the first format that fits.

    The function raises ValueError if none fits, or if there is no such day.
    """
    matchers = tuple(date_pattern(text).fullmatch for text in formats)

    def parse(text: str) -> dt.datetime:
        for matcher in matchers:
            match = matcher(text)
            if match:
                return _moment(match)
        raise ValueError("fits no format")

    return parse


def date_parser(formats: Sequence[str]) -> Callable[[str], dt.date]:
    """A function from text to date; it raises ValueError like `moment_parser`'s."""
    parse = moment_parser(formats)
    return lambda text: parse(text).date()
