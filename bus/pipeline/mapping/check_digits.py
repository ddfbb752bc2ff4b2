"""Check digits of citizen id numbers and of unified social credit codes.

Id numbers, GB 11643-1999: 6 digits division, 8 birth date, 3 sequence (odd for men), 1 check, by ISO 7064 MOD 11-2:
the sum of digit × weight with weights 7 9 10 5 8 4 2 1 6 3 7 9 10 5 8 4 2 and 1 for the check digit (X = 10) is
1 modulo 11. Credit codes, GB 32100-2015: 17 characters and a check, weights 3^i modulo 31.

The id number is checked on every record of a population register, so its three parts are looked up rather than added
up: divisions and birth dates repeat (some thousands of them), and the last four characters are 11,000 at most.
"""

from __future__ import annotations

import datetime as dt
from operator import mul
from typing import Final

_ID_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2, 1)
_ID_CHECKS: Final = "10X98765432"
_MEMO_LIMIT: Final = 100_000

CREDIT_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CREDIT_VALUES: Final = {character: value for value, character in enumerate(CREDIT_ALPHABET)}
_CREDIT_WEIGHTS: Final = tuple(pow(3, i, 31) for i in range(17))


def _weighted(text: str, start: int) -> int:
    """Sum of digit × weight of the part of an id number that begins at `start`.

    Raises:
        ValueError: other than ASCII digits (X stands only at the very end).
    """
    if not (text.isascii() and text.isdigit()):
        raise ValueError("not digits")
    return sum(map(mul, map(int, text), _ID_WEIGHTS[start:]))


class _Divisions(dict[str, int]):
    """First six digits → their weighted sum, remembered when first met."""

    def __missing__(self, text: str) -> int:
        value = _weighted(text, 0)
        if len(self) < _MEMO_LIMIT:
            self[text] = value
        return value


class _Births(dict[str, tuple[int, dt.date]]):
    """Eight digits → their weighted sum and the date that they are, remembered when first met."""

    def __missing__(self, text: str) -> tuple[int, dt.date]:
        value = (_weighted(text, 6), dt.date(int(text[:4]), int(text[4:6]), int(text[6:])))
        if len(self) < _MEMO_LIMIT:
            self[text] = value
        return value


class _Tails(dict[str, int]):
    """Sequence and check digit → their weighted sum, remembered when first met."""

    def __missing__(self, text: str) -> int:
        value = _weighted(text[:3], 14) + (10 if text[3] == "X" else _weighted(text[3], 17))
        self[text] = value
        return value


_DIVISIONS: Final = _Divisions()
_BIRTHS: Final = _Births()
_TAILS: Final = _Tails()


def is_id_number(text: str) -> bool:
    """Whether it is a citizen id number: 18 characters, a real birth date, the check digit right (X in upper case)."""
    if len(text) != 18:
        return False
    try:
        return (_DIVISIONS[text[:6]] + _BIRTHS[text[6:14]][0] + _TAILS[text[14:]]) % 11 == 1
    except ValueError:
        return False


def birth_date(id_number: str) -> dt.date:
    """The birth date inside a citizen id number.

    Raises:
        ValueError: digits 7–14 are no date.
    """
    return _BIRTHS[id_number[6:14]][1]


def id_check_digit(first17: str) -> str:
    """The 18th character that belongs to 17 digits.

    Raises:
        ValueError: not 17 digits.
    """
    if len(first17) != 17:
        raise ValueError("not 17 digits")
    return _ID_CHECKS[_weighted(first17, 0) % 11]


def credit_check_digit(first17: str) -> str:
    """The 18th character that belongs to 17 of a credit code.

    Raises:
        ValueError: not 17 characters of GB 32100's alphabet (digits and capitals without I, O, S, V, Z).
    """
    try:
        values = [_CREDIT_VALUES[character] for character in first17]
    except KeyError:
        raise ValueError("not of GB 32100's alphabet") from None
    if len(values) != 17:
        raise ValueError("not 17 characters")
    return CREDIT_ALPHABET[-sum(map(mul, values, _CREDIT_WEIGHTS)) % 31]


def is_credit_code(text: str) -> bool:
    """Whether it is a unified social credit code: 18 characters, a division code inside, the check digit right."""
    division = text[2:8]
    if len(text) != 18 or not (division.isascii() and division.isdigit()):
        return False
    try:
        return credit_check_digit(text[:17]) == text[17]
    except ValueError:
        return False
