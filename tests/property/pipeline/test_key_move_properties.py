"""Whatever a transaction does to rows and keys, every key ends with the row that has it; checked after each one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.pipeline.key_moves import KeyMoves
from bus.spi import Change, Op

if TYPE_CHECKING:
    from bus.pipeline.key_moves import KeyedChange
    from bus.spi import Row

KEYS = "abcd"

steps = st.lists(
    st.tuples(
        st.sampled_from(["insert", "update", "rekey", "reid", "delete"]), st.integers(0, 7), st.sampled_from(KEYS)
    ),
    min_size=1,
    max_size=12,
)
transactions = st.lists(steps, min_size=1, max_size=5)


class Table:
    """A table whose key is unique at the end of each transaction, and only then, unless `at_once`."""

    def __init__(self, *, at_once: bool) -> None:
        self.rows: dict[int, Row] = {}
        self._at_once = at_once
        self._next = 0
        self._version = 0

    def transaction(self, steps: list[tuple[str, int, str]]) -> list[Change]:
        """Its changes; none if it breaks the constraint, and so is rolled back."""
        before = dict(self.rows)
        changes: list[Change] = []
        for step in steps:
            change = self._step(*step, row=len(changes) + 1)
            if change is not None:
                changes.append(change)
        keys = [row["key"] for row in self.rows.values()]
        if len(set(keys)) != len(keys):
            self.rows = before
            return []
        return changes

    def _step(self, kind: str, choice: int, key: str, row: int) -> Change | None:
        if self._at_once and kind in {"insert", "rekey"} and key in {each["key"] for each in self.rows.values()}:
            return None
        self._version += 1
        if kind == "insert":
            self._next += 1
            self.rows[self._next] = {"id": self._next, "key": key, "n": self._version}
            return Change("t", Op.CREATE, None, self.rows[self._next], row)
        if not self.rows:
            return None
        old = self.rows.pop(sorted(self.rows)[choice % len(self.rows)])
        if kind == "delete":
            return Change("t", Op.DELETE, old, None, row)
        new = old | {"n": self._version}
        if kind == "rekey":
            new |= {"key": key}
        if kind == "reid":
            self._next += 1
            new |= {"id": self._next}
        self.rows[new["id"]] = new
        return Change("t", Op.UPDATE, old, new, row)


def fold(state: dict[str, Row], changes: list[KeyedChange]) -> None:
    for keyed in changes:
        if keyed.change.after is None:
            state.pop(keyed.key.decode(), None)
        else:
            state[keyed.key.decode()] = keyed.change.after


@pytest.mark.parametrize(("at_once", "identity"), [(False, ("id",)), (True, ()), (True, ("id",))])
@given(given_transactions=transactions)
def test_every_key_ends_with_the_row_that_has_it(
    given_transactions: list[list[tuple[str, int, str]]], at_once: bool, identity: tuple[str, ...]
) -> None:
    table, moves = Table(at_once=at_once), KeyMoves(("key",), identity)
    state: dict[str, Row] = {}
    for transaction in given_transactions:
        for change in table.transaction(transaction):
            fold(state, moves.expand(change))
        fold(state, moves.end())

        assert state == {row["key"]: row for row in table.rows.values()}


@given(given_transactions=transactions)
def test_a_key_is_deleted_only_if_it_was_there_and_created_only_if_it_was_not(
    given_transactions: list[list[tuple[str, int, str]]],
) -> None:
    table, moves = Table(at_once=False), KeyMoves(("key",), ("id",))
    live: set[bytes] = set()
    for transaction in given_transactions:
        keyed = [each for change in table.transaction(transaction) for each in moves.expand(change)] + moves.end()
        for each in keyed:
            if each.change.op is Op.CREATE:
                assert each.key not in live
                live.add(each.key)
            else:
                assert each.key in live
            if each.change.op is Op.DELETE:
                live.remove(each.key)


@given(given_transactions=transactions)
def test_the_releases_and_claims_of_a_unit_have_different_names(
    given_transactions: list[list[tuple[str, int, str]]],
) -> None:
    table, moves = Table(at_once=False), KeyMoves(("key",), ("id",))
    for transaction in given_transactions:
        keyed = [each for change in table.transaction(transaction) for each in moves.expand(change)] + moves.end()
        names = [(each.change.row, each.released) for each in keyed]

        assert len(names) == len(set(names))
