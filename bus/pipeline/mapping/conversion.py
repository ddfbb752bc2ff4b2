"""From a source's value to the entity's: copies between Avro types, and dates, moments, numbers and codes out of texts.

A conversion is a function of a value that is not null; it raises RejectedError, made at compile time for its field.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from bus.pipeline.mapping.date_format import date_parser, moment_parser
from bus.pipeline.mapping.text import text_of
from bus.pipeline.reject import Reject, RejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bus.catalogue.avro_type import AvroType
    from bus.catalogue.codelist import CodeList
    from bus.catalogue.mapping import CodeMap, Number, Timestamp

    Conversion = Callable[[Any], Any]

_BITS: Final = {"int": 31, "long": 63}
_INTEGERS: Final = frozenset({"int", "long"})
_REALS: Final = frozenset({"float", "double"})
_OPAQUE: Final = frozenset({"bytes", "boolean", "date", "time", "timestamp", "local-timestamp", "uuid", "string"})
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?")
_GROUPS: Final = r"[+-]?[0-9]{{1,3}}(?:{0}[0-9]{{3}})+(?![0-9])[^{0}]*"
"""Of a number with signs for thousands: three digits stand behind each. `1,5` is no 15."""


def copy(field: str, source: AvroType, target: AvroType) -> Conversion | None:
    """How a value goes over unchanged in meaning; None if it needs nothing done.

    Raises:
        ValueError: the target type cannot hold it.
    """
    if target.name == "string":
        return text_of(source)
    if target.name in _INTEGERS and source.name in _INTEGERS:
        return None if _BITS[source.name] <= _BITS[target.name] else _integer_range(field, target)
    if target.name in _REALS and source.name in _INTEGERS | _REALS:
        return float
    if target.name == "decimal" and source.name in _INTEGERS | {"decimal"}:
        fits = _decimal_range(field, target)
        return fits if source.name == "decimal" else (lambda value: fits(Decimal(value)))
    if target.name == "enum" and source.name in {"enum", "string"}:
        return symbols(field, target)
    if target.name == source.name and target.name in _OPAQUE:
        return None
    raise ValueError(f"a source field of type {source.name} cannot become {target.name}")


def symbols(field: str, target: AvroType) -> Conversion:
    """A text that is one of the enum's symbols."""
    known = frozenset(target.symbols)
    reject = Reject("enum", field, "is none of the schema's symbols")

    def check(value: str) -> str:
        if value not in known:
            raise RejectedError(reject)
        return value

    return check


def _integer_range(field: str, target: AvroType) -> Conversion:
    limit = 1 << _BITS[target.name]
    reject = Reject("out_of_range", field, f"is out of the range of {target.name}")

    def check(value: int) -> int:
        if not -limit <= value < limit:
            raise RejectedError(reject)
        return value

    return check


def _decimal_range(field: str, target: AvroType) -> Conversion:
    reject = Reject("out_of_range", field, f"does not fit {target.precision} digits, {target.scale} after the point")

    def check(value: Decimal) -> Decimal:
        _, digits, exponent = value.as_tuple()
        if not isinstance(exponent, int):
            raise RejectedError(reject)
        if exponent < -target.scale or len(digits) + exponent > target.precision - target.scale:
            raise RejectedError(reject)
        return value

    return check


def dates(field: str, formats: tuple[str, ...]) -> Conversion:
    """A text in one of the formats as a date."""
    parse = date_parser(formats)
    reject = Reject("date", field, f"is no date in any of the forms {', '.join(formats)}")

    def convert(text: str) -> dt.date:
        try:
            return parse(text)
        except ValueError:
            raise RejectedError(reject) from None

    return convert


def moments(field: str, rule: Timestamp) -> Conversion:
    """A text in one of the formats (ISO 8601 if there are none) as a moment; without an offset in the rule's zone."""
    local = zone(rule.timezone)
    parse = moment_parser(rule.formats) if rule.formats else dt.datetime.fromisoformat
    reject = Reject("timestamp", field, f"is no time in any of the forms {', '.join(rule.formats) or 'ISO 8601'}")
    in_utc = _in_utc(field)

    def convert(text: str) -> dt.datetime:
        try:
            moment = parse(text)
        except ValueError:
            raise RejectedError(reject) from None
        return in_utc(moment if moment.tzinfo else moment.replace(tzinfo=local))

    return convert


def in_zone(field: str, rule: Timestamp) -> Conversion:
    """A local time as a moment in the rule's zone."""
    local, in_utc = zone(rule.timezone), _in_utc(field)
    return lambda value: in_utc(value.replace(tzinfo=local))


def _in_utc(field: str) -> Callable[[dt.datetime], dt.datetime]:
    """A moment in UTC. Avro can write one before the year 1 or after 9999, and no reader in Python can read it."""
    reject = Reject("timestamp", field, "is not within the years 1 to 9999 in UTC")

    def convert(moment: dt.datetime) -> dt.datetime:
        try:
            return moment.astimezone(dt.UTC)
        except OverflowError:
            raise RejectedError(reject) from None

    return convert


def zone(offset: str) -> dt.timezone:
    """The time zone of an offset: `+08:00`."""
    sign = -1 if offset[0] == "-" else 1
    return dt.timezone(sign * dt.timedelta(hours=int(offset[1:3]), minutes=int(offset[4:])))


def numbers(field: str, rule: Number, target: AvroType) -> Conversion:
    """A text as a number of the target's type."""
    reject = Reject("number", field, f"is no {rule.type} number")
    make: Callable[[str], Any] = {"integer": int, "decimal": Decimal, "float": float}[rule.type]
    fits = {"integer": _integer_range, "decimal": _decimal_range}.get(rule.type)
    check = fits(field, target) if fits else None
    grouped = re.compile(_GROUPS.format(re.escape(rule.thousands)), re.DOTALL).fullmatch if rule.thousands else None

    def convert(text: str) -> Any:
        if grouped is not None and rule.thousands in text:
            if grouped(text) is None:
                raise RejectedError(reject)
            text = text.replace(rule.thousands, "")
        if rule.decimal != ".":
            text = text.replace(rule.decimal, ".")
        found = _NUMBER.fullmatch(text)
        if found is None or (rule.type == "integer" and found[1]):
            raise RejectedError(reject)
        value = make(text)
        return check(value) if check else value

    return convert


def codes(field: str, rule: CodeMap, codelists: Mapping[str, CodeList]) -> Conversion:
    """A source's code or name as the standard's, by one look-up.

    Raises:
        ValueError: there is no such list, or it lacks a code that the map names.
    """
    if rule.list not in codelists:
        raise ValueError(f"there is no code list {rule.list}")
    table = _table(rule, codelists[rule.list].names())
    reject = Reject("codes", field, f"is not in the code list {rule.list}" + (" or its map" if rule.map else ""))

    def convert(text: str) -> str:
        try:
            return table[text]
        except KeyError:
            raise RejectedError(reject) from None

    return convert


def _table(rule: CodeMap, names: dict[str, str]) -> dict[str, str]:
    if rule.map is not None:
        missing = sorted(set(rule.map.values()) - names.keys())
        if missing:
            raise ValueError(f"the code list {rule.list} has no code {', '.join(missing)}")
        source = rule.map
    elif rule.source == "name":
        source = {name: code for code, name in names.items()}
    else:
        source = {code: code for code in names}
    return {text: names[code] if rule.to == "name" else code for text, code in source.items()}
