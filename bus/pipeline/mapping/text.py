"""Cleaning texts: NFKC (full-width to half-width and the like), white space, case. Already clean texts cost little."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from bus.wire import key_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bus.catalogue.avro_type import AvroType
    from bus.catalogue.mapping import FieldRule

_TEXT_OF = frozenset(
    {"int", "long", "boolean", "uuid", "decimal", "date", "time", "timestamp", "local-timestamp", "float", "double"}
)


def nfkc(text: str) -> str:
    """Unicode normalisation form KC; ASCII is in it already."""
    return text if text.isascii() else normalize("NFKC", text)


def squeeze(text: str) -> str:
    """Runs of white space as one space, none at the ends."""
    return " ".join(text.split())


def _nfkc_trim(text: str) -> str:
    return text.strip() if text.isascii() else normalize("NFKC", text).strip()


_STEPS: dict[str, Callable[[str], str]] = {
    "trim": str.strip,
    "nfkc": nfkc,
    "upper": str.upper,
    "lower": str.lower,
    "squeeze": squeeze,
}


def compile_steps(steps: Sequence[str]) -> Callable[[str], str] | None:
    """The steps as one function; None if there are none."""
    if tuple(steps[:2]) == ("nfkc", "trim"):
        functions = [_nfkc_trim, *(_STEPS[step] for step in steps[2:])]
    else:
        functions = [_STEPS[step] for step in steps]
    if len(functions) < 2:
        return functions[0] if functions else None
    if len(functions) == 2:
        first, second = functions
        return lambda text: second(first(text))

    def clean(text: str) -> str:
        for function in functions:
            text = function(text)
        return text

    return clean


def text_of(source: AvroType) -> Callable[[Any], str] | None:
    """How a value of the type becomes a text (the form that stands in keys); None for one that is a text already.

    Raises:
        ValueError: the type has no text form.
    """
    if source.name in {"string", "enum"}:
        return None
    if source.name in {"float", "double"}:
        return repr
    if source.name in _TEXT_OF:
        return key_text
    raise ValueError(f"a source field of type {source.name} has no text form")


def compile_take(rule: FieldRule, sources: Sequence[AvroType]) -> Callable[[dict[str, Any]], str | None]:
    """How the text of a rule with several sources, or with `split`, is taken from a row; None if there is none.

    Raises:
        ValueError: a source's type has no text form.
    """
    takes = [(name, text_of(source) or str) for name, source in zip(rule.sources, sources, strict=True)]
    joint, split = rule.join or "", rule.split

    def take(row: dict[str, Any]) -> str | None:
        parts = [text(value) for name, text in takes if (value := row[name]) is not None]
        if not parts:
            return None
        whole = joint.join(parts)
        if split is None:
            return whole
        pieces = whole.split(split.by)
        return pieces[split.part] if -len(pieces) <= split.part < len(pieces) else None

    return take
