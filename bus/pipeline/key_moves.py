"""Key changes inside a source transaction, put into an order that leaves the right row under every key.

A Dataset's key need not be the source's primary key, and a transaction may hand a key from one row to another: a row
is deleted and the same person inserted anew, two rows swap their keys under a deferred constraint. Row by row, the
release of a key can come after its new owner's claim, and would then delete the new owner. So:

- a key change is d(old key) at once, and c(new key) at the end of the unit, with the row as it is then;
- a change or release of a key by a row that is no longer its owner is dropped.

Where the source keeps the key unique at every statement none of that can happen and no state is kept.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bus.spi import Change, Op
from bus.wire import BadKeyError, encode_key, key_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.spi import Row


class KeyedChange:
    """A change with the record key that it goes out under."""

    __slots__ = ("change", "key", "released")

    def __init__(self, change: Change, key: bytes, *, released: bool = False) -> None:
        self.change = change
        self.key = key
        self.released = released
        """It is the d(old) half of a key change: the same row number comes again with the new key."""


def key_of(row: Row, fields: Sequence[str]) -> bytes:
    """The record key of a row.

    Raises:
        BadKeyError: a key field is missing or null, or has no text form.
    """
    try:
        return encode_key([key_text(row[name]) for name in fields])
    except KeyError as error:
        raise BadKeyError(f"field {error.args[0]} is not there") from None


class KeyMoves:
    """The key changes of one dataset.

    Args:
        key: fields of the Dataset's key.
        identity: fields by which the source knows a row (its primary key), when keys can change hands inside a
            transaction; empty when the source keeps the key unique at every statement.
    """

    def __init__(self, key: Sequence[str], identity: Sequence[str] = ()) -> None:
        self._key = tuple(key)
        self._identity = tuple(identity)
        self._owners: dict[bytes, bytes] = {}
        self._moved: dict[bytes, KeyedChange] = {}

    def expand(self, change: Change) -> list[KeyedChange]:
        """What goes out for a change, now.

        Raises:
            BadKeyError: a key field is null or missing where it is needed.
        """
        if change.op is Op.DELETE:
            return self._delete(change)
        if change.after is None:
            raise BadKeyError("the row after the change is missing")
        new = key_of(change.after, self._key)
        old = key_of(change.before, self._key) if change.op is Op.UPDATE and change.before else new
        if old != new:
            return self._move(change, old, new)
        return self._stay(change, new)

    def _stay(self, change: Change, key: bytes) -> list[KeyedChange]:
        keyed = KeyedChange(change, key)
        if not self._identity:
            return [keyed]
        row = self._row(change.after)
        if row in self._moved:
            self._moved[row] = KeyedChange(replace(change, op=Op.CREATE, before=None), key)
            return []
        if change.op is Op.CREATE:
            self._owners[key] = row
        elif self._owners.get(key, row) != row:
            return []
        return [keyed]

    def _move(self, change: Change, old: bytes, new: bytes) -> list[KeyedChange]:
        release = KeyedChange(replace(change, op=Op.DELETE, after=None), old, released=True)
        claim = KeyedChange(replace(change, op=Op.CREATE, before=None), new)
        if not self._identity:
            return [release, claim]
        row = self._row(change.after)
        moved_before = row in self._moved
        self._moved[row] = claim
        return [] if moved_before or not self._releases(old, row) else [release]

    def _delete(self, change: Change) -> list[KeyedChange]:
        if change.before is None:
            raise BadKeyError("the deleted row's key is missing")
        key = key_of(change.before, self._key)
        if self._identity:
            row = self._row(change.before)
            if self._moved.pop(row, None) is not None or not self._releases(key, row):
                return []
        return [KeyedChange(change, key)]

    def _releases(self, key: bytes, row: bytes) -> bool:
        if self._owners.get(key, row) != row:
            return False
        self._owners.pop(key, None)
        return True

    def _row(self, row: Row | None) -> bytes:
        return key_of(row or {}, self._identity)

    def end(self) -> list[KeyedChange]:
        """What goes out at the end of the unit: the rows whose keys have changed, as they are now."""
        moved = list(self._moved.values())
        self._moved.clear()
        self._owners.clear()
        return moved
