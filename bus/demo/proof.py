"""What the subscribers must have, worked out from the register's own journal; no code of the data path is used.

The rules are written down here a second time, plainly, so that a mistake in the mapping cannot hide itself.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from bus.demo.people import check_character

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from bus.demo.people import Person

SEX: Final = {"0": "0", "1": "1", "2": "2", "9": "9", "男": "1", "女": "2", "M": "1", "F": "2"}
ETHNICITIES: Final = frozenset(f"{number:02d}" for number in [*range(1, 57), 97, 98])
PHONE: Final = re.compile(r"1[3-9]\d{9}|0\d{2,3}-?\d{7,8}", re.ASCII)
DATE: Final = re.compile(r"(\d{4})(?:(\d{2})(\d{2})|[-/.年](\d{1,2})[-/.月](\d{1,2})日?)", re.ASCII)
NUMBER: Final = re.compile(r"\d{17}[\dX]", re.ASCII)

State = dict[str, dict[str, Any]]
Show = Callable[[dict[str, Any]], dict[str, Any] | None]


class Fold:
    """The register as its journal tells it, and what a subscriber must have of it."""

    def __init__(self, divisions: AbstractSet[str], show: Show) -> None:
        self.state: State = {}
        self._divisions = divisions
        self._show = show
        self._rows: dict[int, Person] = {}
        self._holders: dict[str, int] = {}

    def transaction(self, changes: Iterable[tuple[int, Person | None]]) -> None:
        """Take in one transaction: row ids, and the rows after each change."""
        touched: set[int] = set()
        for row, after in changes:
            before = self._rows.pop(row, None)
            if before is not None and (after is None or after["sfzh"] != before["sfzh"]):
                self._release(before["sfzh"], row)
            if after is not None:
                self._rows[row] = after
            touched.add(row)
        for row in touched & self._rows.keys():
            person = self._rows[row]
            self._holders[person["sfzh"]] = row
            if (record := good_record(person, self._divisions)) is None:
                continue
            if (shown := self._show(record)) is None:
                self.state.pop(person["sfzh"], None)
            else:
                self.state[person["sfzh"]] = shown

    def _release(self, number: str, row: int) -> None:
        if self._holders.get(number, row) == row:
            self._holders.pop(number, None)
        self.state.pop(number, None)


def for_portal(record: dict[str, Any]) -> dict[str, Any]:
    """What the portal may see of a person: phone and addresses masked."""
    return record | {
        "registered_address": hide_address(record["registered_address"]),
        "residence_address": hide_address(record["residence_address"]),
        "phone": hide_phone(record["phone"]),
    }


def expected_state(
    journal: Iterable[tuple[int, str, int, Person | None]], divisions: AbstractSet[str], show: Show = for_portal
) -> State:
    """What a subscriber must have in the end, by id number.

    A dirty change leaves the last good version in place; when the number passed to another row, or its row was deleted,
    what was there is gone whatever follows.

    Args:
        journal: see `Register.journal`.
        divisions: the valid division codes.
        show: what the subscriber may see of a person; None for nothing at all.
    """
    fold = Fold(divisions, show)
    for _, changes in groupby(journal, key=lambda change: change[0]):
        fold.transaction((row, after) for _, _, row, after in changes)
    return fold.state


def good_record(row: Person, divisions: AbstractSet[str]) -> dict[str, Any] | None:
    """The person of a good row, as subscribers may be shown it; None if a must-rule refuses the row."""
    number, name, phone = row["sfzh"], _clean(row["xm"]), _clean(row["lxdh"])
    sex = SEX.get((_clean(row["xb"]) or "9").upper())
    born, division, ethnicity = _date(row["csrq"]), _clean(row["xzqhdm"]), _clean(row["mz"])
    good = (
        NUMBER.fullmatch(number)
        and number[17] == check_character(number[:17])
        and name
        and sex is not None
        and (sex in "09" or (sex == "1") == (int(number[16]) % 2 == 1))
        and born is not None
        and f"{born:%Y%m%d}" == number[6:14]
        and (ethnicity is None or ethnicity in ETHNICITIES)
        and (phone is None or PHONE.fullmatch(phone))
        and division in divisions
    )
    if not good:
        return None
    return {
        "id_number": number,
        "full_name": name,
        "sex": sex,
        "birth_date": born,
        "ethnicity": ethnicity,
        "registered_address": _clean(row["hjdz"]),
        "residence_address": _clean(row["jzdz"]),
        "phone": phone,
        "division_code": division,
        "updated_at": dt.datetime.fromisoformat(row["gxsj"]).astimezone(dt.UTC),
    }


def hide_phone(phone: str | None) -> str | None:
    """138****8000."""
    return None if phone is None else phone[:3] + "*" * (len(phone) - 7) + phone[-4:]


def hide_address(address: str | None) -> str | None:
    """Province, city and district, and no more."""
    return None if address is None else address[:9] + "****"


def _clean(text: str | None) -> str | None:
    return None if text is None else unicodedata.normalize("NFKC", text).strip() or None


def _date(text: str | None) -> dt.date | None:
    found = DATE.fullmatch(_clean(text) or "")
    if found is None:
        return None
    year, month, day = int(found[1]), int(found[2] or found[4]), int(found[3] or found[5])
    try:
        return dt.date(year, month, day)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Verdict:
    """How what the subscriber has compares with what it must have.

    Attributes:
        missing: keys that it lacks.
        extra: keys that it should not have.
        different: keys whose record differs.
        expected, received: SHA-256 of each side, canonical JSON by key.
    """

    rows: int
    missing: int
    extra: int
    different: int
    expected: str
    received: str

    @property
    def same(self) -> bool:
        """Whether both sides are the same."""
        return self.expected == self.received and not (self.missing or self.extra or self.different)


def compare(expected: State, received: State) -> Verdict:
    """Compare both sides, key by key and by digest."""
    return Verdict(
        rows=len(received),
        missing=len(expected.keys() - received.keys()),
        extra=len(received.keys() - expected.keys()),
        different=sum(received[key] != record for key, record in expected.items() if key in received),
        expected=digest(expected),
        received=digest(received),
    )


def digest(state: State) -> str:
    """`sha256:<hex>` of a state: one line of canonical JSON per key, in the keys' order."""
    sha = hashlib.sha256()
    for key in sorted(state):
        sha.update(json.dumps([key, state[key]], default=str, ensure_ascii=False, sort_keys=True).encode() + b"\n")
    return "sha256:" + sha.hexdigest()
