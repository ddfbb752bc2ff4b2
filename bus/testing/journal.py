"""The changes that must stand on raw, key by key, worked out from the register's own journal; no code of the data path.

Written down a second time, plainly, so that a mistake in the data path cannot hide itself.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bus.demo.people import Person
    from bus.testing.topics import TopicRecord

Told = tuple[str, str, Any]
"""Transaction (`snapshot` for the snapshot's rows), op, and the row after it; None for a deletion."""

Sequences = dict[str, list[Told]]
"""The changes of each key, in order."""

JournalRow = tuple[int, str, int, "Person | None"]


def raw_sequences(records: Iterable[TopicRecord]) -> Sequences:
    """What raw holds: every record in the order of its partition; a snapshot that was broken off counts for nothing."""
    told: Sequences = defaultdict(list)
    everything = list(records)
    snapshots = {record.value["position"].rpartition("/")[0] for record in everything if record.value["op"] == "r"}
    for record in everything:
        event = record.value
        if event["op"] == "r" and event["position"].rpartition("/")[0] != max(snapshots, key=_place):
            continue
        row = None if event["after"] is None else _comparable(event["after"])
        told[record.key.decode()].append((event["transaction"] or "snapshot", event["op"], row))
    return dict(told)


def committed_sequences(journal: Sequence[JournalRow], raw: Iterable[TopicRecord]) -> Sequences:
    """What raw must hold: one snapshot of what was committed before it, then each change of every later transaction.

    Args:
        journal: see `Register.journal`.
        raw: tells which transaction is the first after the snapshot; the journal says what then must follow.
    """
    streamed = {record.value["transaction"] for record in raw}
    transactions = [(str(tx & 0xFFFFFFFF), list(rows)) for tx, rows in groupby(journal, key=lambda row: row[0])]
    first = next((number for number, (tx, _) in enumerate(transactions) if tx in streamed), len(transactions))
    expected: Sequences = defaultdict(list)
    register: dict[int, Person] = {}
    for _, changes in transactions[:first]:
        _apply(register, changes)
    for person in register.values():
        expected[person["sfzh"]].append(("snapshot", "r", _comparable(person)))
    for tx, changes in transactions[first:]:
        for key, op, row in _told(register, changes):
            expected[key].append((tx, op, row))
        _apply(register, changes)
    return dict(expected)


def _place(unit: str) -> tuple[int, ...]:
    """The order of snapshots: by the place in the server's log that they are of."""
    return tuple(int(part, 16) for part in unit.split("/")[1:])


def _apply(register: dict[int, Person], changes: Iterable[JournalRow]) -> None:
    for _, _, row, after in changes:
        register.pop(row, None)
        if after is not None:
            register[row] = after


def _told(register: dict[int, Person], changes: Iterable[JournalRow]) -> list[tuple[str, str, Any]]:
    """The changes of one transaction: a new key is claimed at its end, when every other has been released."""
    now: list[tuple[str, str, Any]] = []
    at_the_end: list[tuple[str, str, Any]] = []
    for _, op, row, after in changes:
        before = register.get(row)
        if op == "d" and before is not None:
            now.append((before["sfzh"], "d", None))
        elif op == "i" and after is not None:
            now.append((after["sfzh"], "c", _comparable(after)))
        elif before is not None and after is not None and before["sfzh"] != after["sfzh"]:
            now.append((before["sfzh"], "d", None))
            at_the_end.append((after["sfzh"], "c", _comparable(after)))
        elif after is not None:
            now.append((after["sfzh"], "u", _comparable(after)))
    return now + at_the_end


def _comparable(row: dict[str, Any]) -> dict[str, Any]:
    """A row without its picture, times in UTC."""
    time = row["gxsj"]
    moment = dt.datetime.fromisoformat(time) if isinstance(time, str) else time
    return {name: value for name, value in row.items() if name != "zp"} | {"gxsj": moment.astimezone(dt.UTC)}
