"""The events that the bench fills raw topics with: changes of synthetic people, headers on."""

from __future__ import annotations

import datetime as dt
from random import Random
from typing import TYPE_CHECKING, Any, Final

from bus import wire
from bus.demo.people import FIELDS, People

if TYPE_CHECKING:
    from collections.abc import Iterator

_TEXT: Final = ["null", "string"]
_MOMENT: Final = {"type": "long", "logicalType": "timestamp-micros"}


def _row(fields: tuple[str, ...]) -> dict[str, Any]:
    listed = [{"name": name, "type": _TEXT, "default": None} for name in fields]
    return {"type": "record", "name": "Row", "fields": [*listed, {"name": "gxsj", "type": ["null", _MOMENT]}]}


LIGHT_ROW: Final = _row(("zjhm", "xm", "xb", "csrq", "mz", "hjdz", "lxdh", "xzqhdm"))
DEMO_ROW: Final = _row(FIELDS)
_LIGHT_NAMES: Final = {"sfzh": "zjhm"}

POOL: Final = 20_000
"""Different people."""


def changes(
    count: int, row_schema: dict[str, Any], seed: int = 7, *, rejects: float = 0.01
) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Record keys and envelopes of so many changes, of which 3% are deletions.

    Args:
        count: how many.
        row_schema: LIGHT_ROW or DEMO_ROW; the fields that it does not name are left out.
        seed: of the synthetic people.
        rejects: share of the changes whose id number is cut off.
    """
    random = Random(seed)  # noqa: S311  synthetic people
    people = People(random)
    names = [field["name"] for field in row_schema["fields"]]
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    pool = [people.person() for _ in range(min(count, POOL))]
    for number in range(count):
        person = dict(pool[number % len(pool)])
        dice = random.random()
        if dice < rejects:
            person["sfzh"] = person["sfzh"][:15]
        row = {_LIGHT_NAMES.get(name, name) if "zjhm" in names else name: value for name, value in person.items()}
        row = {name: row.get(name) for name in names} | {"gxsj": moment}
        op = "d" if dice > 0.97 else "u"
        image = {"before": row, "after": None} if op == "d" else {"before": None, "after": row}
        position = {"position": f"0/{number:X}/1", "transaction": str(number), "last": True, "time": moment}
        yield person["sfzh"].encode(), {"op": op, **image, **position}


def headers(number: int, dataset: str, now: float) -> wire.Headers:
    """The headers of a raw record; `now` is the time of the source's commit, seconds since 1970."""
    source = wire.source_urn("bench", "11320500DEMQ00018C", "bench")
    moment = wire.timestamp(int(now * 1_000_000))
    return wire.CloudEvent(_position(number), wire.raw_topic(dataset), source, moment).headers()


def numbered(pattern: wire.Headers, number: int) -> wire.Headers:
    """The headers of another record that was committed at the same time: with an id of its own."""
    return [(name, _position(number).encode() if name == "ce_id" else body) for name, body in pattern]


def _position(number: int) -> str:
    return f"0/{number:X}/1"
