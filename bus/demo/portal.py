"""The one-stop service portal: a subscriber as a subscribing system would write it, that also watches for mistakes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import bus
from bus.wire import micros

if TYPE_CHECKING:
    from bus.config import Settings
    from bus.subscriber import Record

TOPIC: Final = "view.portal-person.v1"
ENTITLED: Final = frozenset(
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
LATENCIES_KEPT: Final = 20_000


class Portal:
    """Keeps the people it was told of, and counts what must never happen.

    Attributes:
        people: the latest record by key.
        leaked: records that show a field, a phone or an address that the portal is not entitled to.
        out_of_order: records older than one of the same key before.
        doubled: records that came twice.
        latencies: seconds from the source's commit to here, of changes after the snapshot.
    """

    def __init__(self, settings: Settings) -> None:
        self.people: dict[str, dict[str, Any]] = {}
        self.received = 0
        self.leaked = 0
        self.out_of_order = 0
        self.doubled = 0
        self.latencies: list[float] = []
        self._settings = settings
        self._last: dict[str, tuple[int, int]] = {}
        self._seen: set[tuple[str, str]] = set()

    async def listen(self) -> None:
        """Take records until cancelled."""
        async with bus.subscribe(TOPIC, "portal", settings=self._settings, reload=True) as records:
            async for record in records:
                self.take(record, time.time())

    def take(self, record: Record, now: float) -> None:
        """Take one record in."""
        self.received += 1
        if record.value is None:
            self.people.pop(record.key, None)
        else:
            self.people[record.key] = record.value
            self.leaked += leaks(record.value)
        self._check_order(record)
        if not record.event.id.startswith("snapshot"):
            self.latencies.append(now - micros(record.event.time) / 1e6)
            del self.latencies[:-LATENCIES_KEPT]

    def _check_order(self, record: Record) -> None:
        identity = (record.event.id, record.key)
        self.doubled += identity in self._seen
        self._seen.add(identity)
        place = source_place(record.event.id)
        self.out_of_order += place < self._last.get(record.key, place)
        self._last[record.key] = place


def leaks(record: dict[str, Any]) -> bool:
    """Whether a record shows more than the portal may see."""
    if record.keys() - ENTITLED:
        return True
    phone = record.get("phone")
    addresses = (record.get("registered_address"), record.get("residence_address"))
    return (phone is not None and phone[3:-4].strip("*") != "") or any(
        address is not None and not (len(address) <= 13 and address.endswith("****")) for address in addresses
    )


def source_place(event_id: str) -> tuple[int, int]:
    """Where the change was committed at the source: the transaction's LSN, out of the event's id; snapshots come first.

    Changes inside one transaction are of equal place: a swap of two keys releases both before it claims them.
    """
    if event_id.startswith("snapshot"):
        return (0, 0)
    high, low, *_ = event_id.split("/")
    return (int(high, 16), int(low, 16))


def percentile(values: list[float], share: float) -> float:
    """The value below which that share of the values lies; 0 if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
