"""Rules over several fields of a finished record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bus.pipeline.mapping.check_digits import birth_date, is_id_number
from bus.pipeline.reject import Reject, RejectedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bus.catalogue.mapping import CrossRule

    Check = Callable[[dict[str, Any]], None]

# Digit 17 and the sex code (GB/T 2261.1) that contradict each other: odd is male (GB 11643-1999).
_CONTRADICTIONS: Final = frozenset({digit + ("2" if int(digit) % 2 else "1") for digit in "0123456789"})


def compile_cross_rule(rule: CrossRule) -> Check:
    """The rule as a check that raises RejectedError; a record without one of the values passes.

    So does an id number that is none: to say so is the id field's own rule.
    """
    id_field = rule.id
    if rule.rule == "birth_date_agrees_with_id":
        assert rule.birth_date is not None
        return _birth_date(id_field, rule.birth_date)
    assert rule.sex is not None
    return _sex(id_field, rule.sex)


def _birth_date(id_field: str, field: str) -> Check:
    reject = Reject("birth_date_agrees_with_id", field, f"is not the birth date inside {id_field}")

    def check(record: dict[str, Any]) -> None:
        number, date = record[id_field], record[field]
        if number is None or date is None:
            return
        try:
            agrees = birth_date(number) == date
        except ValueError:
            return
        if not agrees and is_id_number(number):
            raise RejectedError(reject)

    return check


def _sex(id_field: str, field: str) -> Check:
    reject = Reject("sex_agrees_with_id", field, f"is not the sex that {id_field} tells")

    def check(record: dict[str, Any]) -> None:
        number, sex = record[id_field], record[field]
        if number and sex and number[16:17] + sex in _CONTRADICTIONS and is_id_number(number):
            raise RejectedError(reject)

    return check
