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


def changes(count: int, row_schema: dict[str, Any], seed: int = 7) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Record keys and envelopes of so many changes: 1% are rejected, 3% are deletions.

    Args:
        count: how many.
        row_schema: LIGHT_ROW or DEMO_ROW; the fields that it does not name are left out.
        seed: of the synthetic people.
    """
    random = Random(seed)  # noqa: S311  synthetic people
    people = People(random)
    names = [field["name"] for field in row_schema["fields"]]
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    pool = [people.person() for _ in range(min(count, 20_000))]
    for number in range(count):
        person = dict(pool[number % len(pool)])
        dice = random.random()
        if dice < 0.01:
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
    return wire.CloudEvent(f"0/{number:X}/1", wire.raw_topic(dataset), source, moment).headers()
