"""The demo's subscribers: what each may see, written down a second time, and how to see that one was shown more."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bus.demo.proof import for_portal
from bus.demo.releases import LEVELS
from bus.wire import micros

if TYPE_CHECKING:
    from collections.abc import Callable

    from bus.demo.proof import Show
    from bus.wire import CloudEvent

    Record = dict[str, Any]
    Leaks = Callable[[str, Record], bool]

GUSU: Final = "320508"
PERSONS: Final = "gongan.population"
ENTERPRISES: Final = "scjg.enterprises"

_ID_NUMBER: Final = re.compile(r"\d{17}[\dX]", re.ASCII)
PSEUDONYM: Final = re.compile(r"hmac-sha256:[0-9a-f]{64}")


SNAPSHOT: Final = (0,)
"""Where everything was committed that was there before the first change."""


def commit_place(event: CloudEvent) -> tuple[int, ...]:
    """At a database: the transaction's LSN.

    Changes inside one transaction are of equal place: a swap of two keys releases both before it claims them.
    """
    if event.id.startswith("snapshot"):
        return SNAPSHOT
    high, low, *_ = event.id.split("/")
    return (1, int(high, 16), int(low, 16))


def commit_time(event: CloudEvent) -> tuple[int, ...]:
    """At a database, where the id is a pseudonym: when the transaction was committed, by the database's clock.

    Who changes a row waits for the lock of who changed it before, so that this time too is never smaller for a key.
    """
    return (micros(event.time),)


def dump_place(event: CloudEvent) -> tuple[int, ...]:
    """At a folder of dumps: the number of the dump, at the begin of the unit's name."""
    return (1, int(event.id.split("/", maxsplit=1)[0].split("-", maxsplit=1)[0]))


@dataclass(frozen=True, slots=True)
class DemoView:
    """One subscription.

    Attributes:
        name: of the view.
        subscriber: who reads it.
        title: for people.
        source: the dataset that it comes from.
        show: what the subscriber may see of a good record; None for nothing at all.
        leaks: whether a key and its record show the subscriber more than that.
        key: the record's key, from that of the source.
        is_pseudonymised: keys and events' ids are pseudonyms, of tombstones too.
        is_filtered: rows of others are kept back; then a tombstone of a key that never came tells of somebody else.
        place: from an event to where the change was committed at the source: a later one is never smaller.
    """

    name: str
    subscriber: str
    title: str
    source: str
    show: Show
    leaks: Leaks
    key: Callable[[str], str] = str
    place: Callable[[CloudEvent], tuple[int, ...]] = dump_place
    is_pseudonymised: bool = False
    is_filtered: bool = False

    @property
    def topic(self) -> str:
        """Where it is read."""
        return f"view.{self.name}.v1"

    @property
    def group(self) -> str:
        """Under which the subscriber's cursor is kept."""
        return f"{self.subscriber}.{self.name}"


def demo_views(secret: str) -> tuple[DemoView, ...]:
    """All of them.

    Args:
        secret: key of the statistics bureau's pseudonyms.
    """
    divisions = (
        DemoView(f"statistics-{entity}", "statistics", f"统计局 {entity}", f"minzheng.{level}", _whole, _nothing)
        for level, entity in LEVELS.items()
    )
    return (
        DemoView("portal-person", "portal", "门户 people", PERSONS, for_portal, portal_leaks, place=commit_place),
        DemoView(
            "gusu-person", "gusu", "姑苏区 its residents", PERSONS, for_gusu, gusu_leaks,
            place=commit_place, is_filtered=True,
        ),
        _statistics_person(secret),
        DemoView(
            "portal-enterprise", "portal", "门户 enterprises", ENTERPRISES, _portal_enterprise, _portal_enterprise_leaks
        ),
        DemoView(
            "gusu-enterprise", "gusu", "姑苏区 its enterprises", ENTERPRISES, _of_gusu, _outside_gusu, is_filtered=True
        ),
        DemoView(
            "statistics-enterprise", "statistics", "统计局 enterprises", ENTERPRISES, _statistics_enterprise,
            lambda _, record: "legal_representative" in record or "address" in record,
        ),
        *divisions,
    )  # fmt: skip


PORTAL_FIELDS: Final = frozenset(
    {
        "id_number",
        "full_name",
        "sex",
        "birth_date",
        "ethnicity",
        "registered_address",
        "residence_address",
        "phone",
        "division_code",
        "updated_at",
    }
)


def portal_leaks(_: str, record: Record) -> bool:
    """A field, a phone or an address that the portal is not entitled to."""
    if record.keys() - PORTAL_FIELDS:
        return True
    phone = record.get("phone")
    addresses = (record.get("registered_address"), record.get("residence_address"))
    return (phone is not None and phone[3:-4].strip("*") != "") or any(
        address is not None and not (len(address) <= 13 and address.endswith("****")) for address in addresses
    )


def for_gusu(record: Record) -> Record | None:
    """Its own residents, with full addresses; not their ethnicity, which it has no use for."""
    if record["division_code"] != GUSU:
        return None
    return {name: value for name, value in record.items() if name != "ethnicity"}


def gusu_leaks(_: str, record: Record) -> bool:
    """Somebody else's resident, or a field too much."""
    return record.get("division_code") != GUSU or bool(record.keys() - (PORTAL_FIELDS - {"ethnicity"}))


def _statistics_person(secret: str) -> DemoView:
    def pseudonym(number: str) -> str:
        return "hmac-sha256:" + hmac.new(secret.encode(), number.encode(), "sha256").hexdigest()

    def show(record: Record) -> Record:
        shown = {name: record[name] for name in ("sex", "birth_date", "ethnicity", "division_code")}
        return shown | {"id_number": pseudonym(record["id_number"])}

    def leaks(key: str, record: Record) -> bool:
        told = f"{key} {' '.join(map(str, record.values()))}"
        allowed = {"id_number", "sex", "birth_date", "ethnicity", "division_code"}
        without = PSEUDONYM.sub("", told)
        return bool(record.keys() - allowed) or _ID_NUMBER.search(without) is not None

    return DemoView(
        "statistics-person", "statistics", "统计局 people, no names", PERSONS, show, leaks, pseudonym, commit_time,
        is_pseudonymised=True,
    )  # fmt: skip


def _portal_enterprise(record: Record) -> Record:
    name = record["legal_representative"]
    shown = {each: value for each, value in record.items() if each != "registered_capital"}
    return shown | {"legal_representative": name[0] + "*" * (len(name) - 1) if len(name) > 1 else "*"}


def _portal_enterprise_leaks(_: str, record: Record) -> bool:
    return "registered_capital" in record or record["legal_representative"][1:].strip("*") != ""


def _of_gusu(record: Record) -> Record | None:
    return record if record["division_code"] == GUSU else None


def _outside_gusu(_: str, record: Record) -> bool:
    return record.get("division_code") != GUSU


def _statistics_enterprise(record: Record) -> Record:
    return {name: value for name, value in record.items() if name not in {"legal_representative", "address"}}


def _whole(record: Record) -> Record:
    return record


def _nothing(_: str, __: Record) -> bool:
    """Divisions are public."""
    return False
