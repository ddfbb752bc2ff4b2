"""The page's languages: its texts, and numbers, times and durations as the language writes them."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Code = Literal["en", "zh"]
CODES: Final[tuple[Code, ...]] = ("zh", "en")
UNKNOWN: Final = "–"


@dataclass(frozen=True, slots=True, eq=False)
class Language:
    """A language; there is one of each.

    Attributes:
        code: `zh` or `en`.
        texts: the tables of `texts/<code>.toml`.
    """

    code: Code
    texts: Mapping[str, Mapping[str, str]]

    def text(self, key: str, /, **values: object) -> str:
        """The text `table.name` with its values filled in.

        Raises:
            KeyError: there is no such text, or a value of it was not given.
        """
        table, _, name = key.partition(".")
        return self.texts[table][name].format(**values)

    def counted(self, key: str, count: int) -> str:
        """The text with that count, in the form for one or for several."""
        return self.text(f"{key}_one" if count == 1 else key, count=self.number(count))

    def find(self, table: str, name: str, values: Mapping[str, object]) -> str | None:
        """The text with its values, or None if there is none or a value is not known."""
        found = self.texts.get(table, {}).get(name)
        if found is None:
            return None
        try:
            return found.format_map({key: value for key, value in values.items() if value not in (None, "")})
        except KeyError:
            return None

    def say(self, sentence: str) -> str:
        """A sentence that an adapter has made, by the table `said`; as it is if none of its forms fits."""
        for form, said in _said(self):
            if found := form.fullmatch(sentence):
                return said.format_map({name: self.say(value) for name, value in found.groupdict().items()})
        return sentence

    def number(self, value: float | None) -> str:
        """Whole, with the digits grouped."""
        return UNKNOWN if value is None else f"{value:,.0f}"

    def rate(self, value: float | None) -> str:
        """Short enough for a node: `0.4`, `38`, `12.5k` or `1.3万`."""
        if value is None:
            return UNKNOWN
        if value < 9.95:
            return f"{value:.1f}".removesuffix(".0")
        if value < 999.5 or (self.code == "zh" and value < 9_999.5):
            return f"{value:,.0f}"
        scale, word = (10_000, "万") if self.code == "zh" else (1_000, "k")
        return f"{value / scale:,.{0 if value >= 100 * scale else 1}f}{word}"

    def span(self, seconds: float | None, *, tenths: bool = True) -> str:
        """A duration as people say it: `0.4 s`, `12 s`, `4 min`, `3 h`, `2 d`."""
        if seconds is None:
            return UNKNOWN
        seconds = max(seconds, 0.0)
        if tenths and seconds < 9.95:
            return f"{seconds:.1f} {self.texts['unit']['second']}"
        for unit, size, until in (("second", 1, 120), ("minute", 60, 7_200), ("hour", 3_600, 172_800)):
            if seconds < until:
                return f"{seconds / size:.0f} {self.texts['unit'][unit]}"
        return f"{seconds / 86_400:.0f} {self.texts['unit']['day']}"

    def share(self, value: float) -> str:
        """Percent, rounded down: 100% is all."""
        return f"{int(value * 100)}%"

    def clock(self, time: float | None) -> str:
        """The time of day, here."""
        return UNKNOWN if time is None else f"{datetime.fromtimestamp(time).astimezone():%H:%M:%S}"

    def moment(self, time: float | None) -> str:
        """Date and time, here."""
        if time is None:
            return UNKNOWN
        here = datetime.fromtimestamp(time).astimezone()
        if self.code == "zh":
            return f"{here.year}年{here.month}月{here.day}日 {here:%H:%M:%S}"
        return f"{here.day} {here:%b %Y %H:%M:%S}"


@cache
def _said(language: Language) -> list[tuple[re.Pattern[str], str]]:
    """The forms of the table `said` as patterns, whose groups are the values."""
    return [(_form(form), said) for form, said in language.texts.get("said", {}).items()]


def _form(text: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", text)
    return re.compile("".join(f"(?P<{part}>.+?)" if at % 2 else re.escape(part) for at, part in enumerate(parts)))


@cache
def language(code: Code) -> Language:
    """The language with that code."""
    text = (files("bus.console") / "texts" / f"{code}.toml").read_text(encoding="utf-8")
    return Language(code, tomllib.loads(text))


def choose(asked: str | None, configured: Code | None, accepted: str) -> Language:
    """The language of a request.

    Args:
        asked: by `?lang=`.
        configured: by the console's operator.
        accepted: the header Accept-Language (RFC 9110 §12.5.4).
    """
    for code in CODES:
        if asked == code:
            return language(code)
    if configured is not None:
        return language(configured)
    ranked = sorted((_ranked(each) for each in accepted.split(",")), key=lambda each: -each[1])
    for name, weight in ranked:
        for code in CODES:
            if weight > 0 and name.partition("-")[0] == code:
                return language(code)
    return language("en")


def _ranked(accepted: str) -> tuple[str, float]:
    name, _, weight = accepted.partition(";")
    try:
        return name.strip().lower(), float(weight.strip().removeprefix("q=") or 1)
    except ValueError:
        return name.strip().lower(), 0.0
