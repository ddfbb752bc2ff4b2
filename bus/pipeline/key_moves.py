"""Key changes inside a source transaction, put into an order that leaves the right row under every key.

A Dataset's key need not be the source's primary key, and a transaction may hand a key from one row to another: a row
is deleted and the same person inserted anew, two rows swap their keys under a deferred constraint. Row by row, the
release of a key can come after its new owner's claim, and would then delete the new owner; and a claim may be taken
back before the transaction ends, while the row that always had the key keeps it. So, within a unit:

- a key is released at once, by the row that had it when the unit began: d(old key), or the row's deletion;
- a key is claimed at the end of the unit, by the rows that were created or moved in it and are still there, as they are
  then: c(new key).

Where the source keeps the key unique at every statement none of that can happen and no state is kept.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

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


MOST_HELD_BACK: Final = 100_000
"""Creations of one unit that are held back to its end; those beyond go out at once, so that memory stays bounded."""


class KeyMoves:
    """The key changes of one dataset.

    Args:
        key: fields of the Dataset's key.
        identity: fields by which the source knows a row (its primary key), when keys can change hands inside a
            transaction; empty when the source keeps the key unique at every statement.
        most_held_back: see `MOST_HELD_BACK`.
    """

    def __init__(
        self, key: Sequence[str], identity: Sequence[str] = (), *, most_held_back: int = MOST_HELD_BACK
    ) -> None:
        self._key = tuple(key)
        self._identity = tuple(identity)
        self._most_held_back = most_held_back
        self._claims: dict[bytes, KeyedChange] = {}
        """By row: what goes out for it at the end of the unit."""
        self._owners: dict[bytes, bytes] = {}
        """By key: the row whose creation went out at once because too many were held back."""

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
        if not self._identity:
            return [KeyedChange(change, new)] if old == new else [_release(change, old), _claim(change, new)]
        return self._write(change, old, new)

    def _write(self, change: Change, old: bytes, new: bytes) -> list[KeyedChange]:
        """A row is created, read or updated, where keys can change hands."""
        row = self._row(change.after)
        row_before = self._row(change.before) if change.op is Op.UPDATE and change.before else row
        if self._claims.pop(row_before, None) is not None:
            self._claims[row] = _claim(change, new)
            return []
        if change.op is Op.CREATE:
            return self._create(change, new, row)
        if old != new:
            self._claims[row] = _claim(change, new)
            return [_release(change, old)] if self._releases(old, row_before) else []
        return [KeyedChange(change, new)] if self._owners.get(new, row) == row else []

    def _create(self, change: Change, key: bytes, row: bytes) -> list[KeyedChange]:
        if len(self._claims) < self._most_held_back:
            self._claims[row] = KeyedChange(change, key)
            return []
        self._owners[key] = row
        return [KeyedChange(change, key)]

    def _delete(self, change: Change) -> list[KeyedChange]:
        if change.before is None:
            raise BadKeyError("the deleted row's key is missing")
        key = key_of(change.before, self._key)
        if self._identity:
            row = self._row(change.before)
            if self._claims.pop(row, None) is not None or not self._releases(key, row):
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
        """What goes out at the end of the unit: the rows that were created, or whose keys changed, as they are now."""
        claims = list(self._claims.values())
        self._claims.clear()
        self._owners.clear()
        return claims


def _release(change: Change, key: bytes) -> KeyedChange:
    return KeyedChange(replace(change, op=Op.DELETE, after=None), key, released=True)


def _claim(change: Change, key: bytes) -> KeyedChange:
    return KeyedChange(replace(change, op=Op.CREATE, before=None), key)
