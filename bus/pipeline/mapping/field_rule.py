"""One field's rule as one function from a row to a value; everything that can be decided before is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from bus.catalogue.avro_type import AvroType, literal
from bus.catalogue.pattern import longest_text
from bus.pipeline.mapping import conversion
from bus.pipeline.mapping.check_digits import is_credit_code, is_id_number
from bus.pipeline.mapping.text import compile_steps, compile_take, text_of
from bus.pipeline.reject import Reject, RejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bus.catalogue.codelist import CodeList
    from bus.catalogue.mapping import FieldRule
    from bus.pipeline.mapping.conversion import Conversion

    Row = dict[str, Any]
    Make = Callable[[Row], Any]

_MEMO_LIMIT: Final = 100_000
_TEXT: Final = AvroType("string", nullable=True)
_CHECKS: Final[dict[str, tuple[Callable[[str], bool], str]]] = {
    "gb11643": (is_id_number, "is no citizen id number (GB 11643): form, birth date or check digit"),
    "gb32100": (is_credit_code, "is no unified social credit code (GB 32100): form or check digit"),
}


class _Memo(dict[str, Any]):
    """What dirty texts became: codes and dates repeat, so most records cost one look-up. Rejects are not kept.

    A register of millions holds some 40,000 birth dates.
    """

    def __init__(self, convert: Conversion) -> None:
        super().__init__()
        self._convert = convert

    def __missing__(self, text: str) -> Any:
        value = self._convert(text)
        if len(self) < _MEMO_LIMIT:
            self[text] = value
        return value


def compile_field(  # noqa: PLR0913  the rule and its surroundings, and one wish
    field: str,
    rule: FieldRule,
    sources: Sequence[AvroType | None],
    target: AvroType,
    codelists: Mapping[str, CodeList],
    *,
    remembers: bool = True,
) -> Make:
    """The function of a field.

    Args:
        field: the entity's field.
        rule: its rule.
        sources: types of the rule's source fields; None for one that the writer's rows do not have.
        target: the entity's type.
        codelists: by name.
        remembers: what texts became, where they repeat; for a caller that does not do so itself.

    Raises:
        ValueError: it cannot work with these types; says why.
        RejectedError: a source field is missing that the record cannot do without.
    """
    if rule.const is not None:
        value = literal(rule.const, target)
        return lambda _: value
    absent = absent_value(field, rule, target)
    present = [source for source in sources if source is not None]
    if len(present) < len(sources):
        return _without_source(field, rule, target, absent)
    take = compile_take(rule, present) if len(present) > 1 or rule.split is not None else None
    source = present[0] if take is None else _TEXT
    convert = _conversion(field, rule, source, target, codelists)
    if remembers and convert and source.name in {"string", "enum"} and (rule.codes or rule.date):
        convert = _Memo(convert).__getitem__
    if take is not None:
        return _taken(take, convert, absent)
    return _single(rule.sources[0], convert, absent, always=not source.nullable)


def absent_value(field: str, rule: FieldRule, target: AvroType) -> Callable[[], Any]:
    """What a missing value becomes."""
    if rule.default is not None:
        value = literal(rule.default, target)
        return lambda: value
    if target.nullable and not rule.required:
        return lambda: None
    reject = Reject("required", field, "has no value")

    def refuse() -> Any:
        raise RejectedError(reject)

    return refuse


def _without_source(field: str, rule: FieldRule, target: AvroType, absent: Callable[[], Any]) -> Make:
    """A source field is not in this writer's rows: null or the default if the record bears it, else none goes on."""
    if rule.default is None and (rule.required or not target.nullable):
        names = ", ".join(rule.sources)
        raise RejectedError(Reject("missing_field", field, f"the source's rows no longer have {names}"))
    value = absent()
    return lambda _: value


def _single(source: str, convert: Conversion | None, absent: Callable[[], Any], *, always: bool) -> Make:
    if convert is None:
        if always:
            return lambda row: row[source]

        def plain(row: Row) -> Any:
            value = row[source]
            return absent() if value is None else value

        return plain

    def make(row: Row) -> Any:
        value = row[source]
        if value is None or (value := convert(value)) is None:
            return absent()
        return value

    return make


def _taken(take: Callable[[Row], str | None], convert: Conversion | None, absent: Callable[[], Any]) -> Make:
    def make(row: Row) -> Any:
        value: Any = take(row)
        if value is not None and convert is not None:
            value = convert(value)
        return absent() if value is None else value

    return make


def _conversion(
    field: str, rule: FieldRule, source: AvroType, target: AvroType, codelists: Mapping[str, CodeList]
) -> Conversion | None:
    """All that is done to a value, in the order that `bus.catalogue.mapping` states; None comes of an empty text."""
    is_text = source.name in {"string", "enum"}
    becomes_text = target.name in {"string", "enum"} or rule.codes is not None
    if not is_text and not becomes_text:
        return _typed(field, rule, source, target)
    steps: list[Conversion | None] = [
        None if is_text else text_of(source),
        _cleaned(rule),
        *_forms(field, rule),
        _parsed(field, rule, target, codelists),
        _checked(field, rule),
    ]
    return _chain([step for step in steps if step is not None])


def _typed(field: str, rule: FieldRule, source: AvroType, target: AvroType) -> Conversion | None:
    """A value that is not a text and does not become one: its text rules do not concern it."""
    if rule.timestamp is not None and source.name == "local-timestamp":
        return conversion.in_zone(field, rule.timestamp)
    return conversion.copy(field, source, target)


def _cleaned(rule: FieldRule) -> Conversion | None:
    clean = compile_steps(rule.steps)
    if clean is None and not (rule.date or rule.timestamp or rule.number or rule.codes):
        return None
    return (lambda text: clean(text) or None) if clean else (lambda text: text or None)


def _forms(field: str, rule: FieldRule) -> list[Conversion]:
    checks: list[Conversion] = []
    if rule.pattern is not None:
        checks.append(_has_form(field, rule.pattern))
    if (shortest := rule.min_length) is not None:
        reject = Reject("min_length", field, f"is shorter than {shortest} characters")
        checks.append(_must(lambda text: len(text) >= shortest, reject))
    if (longest := rule.max_length) is not None:
        reject = Reject("max_length", field, f"is longer than {longest} characters")
        checks.append(_must(lambda text: len(text) <= longest, reject))
    return checks


def _has_form(field: str, pattern: str) -> Conversion:
    match, longest = re.compile(pattern).fullmatch, longest_text(pattern)
    reject = Reject("pattern", field, "has not the form it must")
    too_long = Reject("pattern", field, f"is longer than the {longest} characters that its pattern is tried on")

    def check(text: str) -> str:
        if len(text) > longest:
            raise RejectedError(too_long)
        if match(text) is None:
            raise RejectedError(reject)
        return text

    return check


def _parsed(field: str, rule: FieldRule, target: AvroType, codelists: Mapping[str, CodeList]) -> Conversion | None:
    if rule.date:
        return conversion.dates(field, rule.date)
    if rule.timestamp is not None:
        return conversion.moments(field, rule.timestamp)
    if rule.number is not None:
        return conversion.numbers(field, rule.number, target)
    if rule.codes is not None:
        return conversion.codes(field, rule.codes, codelists)
    return conversion.copy(field, _TEXT, target)


def _checked(field: str, rule: FieldRule) -> Conversion | None:
    if rule.check is None:
        return None
    holds, reason = _CHECKS[rule.check]
    return _must(holds, Reject(rule.check, field, reason))


def _must(holds: Callable[[str], bool], reject: Reject) -> Conversion:
    def check(text: str) -> str:
        if not holds(text):
            raise RejectedError(reject)
        return text

    return check


def _chain(steps: list[Conversion]) -> Conversion | None:
    """The steps one after the other; a step that leaves nothing ends it."""
    if len(steps) < 2:
        return steps[0] if steps else None
    if len(steps) == 2:
        first, second = steps
        return lambda value: None if (value := first(value)) is None else second(value)

    def convert(value: Any) -> Any:
        for step in steps:
            value = step(value)
            if value is None:
                return None
        return value

    return convert
