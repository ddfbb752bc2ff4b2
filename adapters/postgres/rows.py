"""From pgoutput's tuples to rows: a table as the replication stream describes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adapters.postgres.pgoutput import UNCHANGED
from adapters.postgres.types import UnknownLabelError
from bus.spi import Change, Op

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from adapters.postgres.pgoutput import RowChange, Tuple
    from adapters.postgres.tables import Table
    from bus.spi import Row


@dataclass(frozen=True, slots=True)
class StreamTable:
    """A table, with its columns in the stream's order.

    Attributes:
        table: as it is read.
        key_positions: positions of the replica identity's columns.
    """

    table: Table
    key_positions: frozenset[int]

    def row(self, values: Tuple, *, lenient: bool) -> Row:
        """A row of text values; unchanged ones stay UNCHANGED."""
        return {
            column.avro: read(column.type.read, value, lenient=lenient)
            for column, value in zip(self.table.columns, values, strict=True)
        }

    def moves(self, change: Change) -> bool:
        """Whether an update gives the row another identity."""
        before, after = change.before or {}, change.after or {}
        names = self.table.avro_names(self.table.identity_columns)
        return any(before[name] != after[name] for name in names)

    def change(self, change: RowChange, number: int, *, lenient: bool = False) -> Change:
        """The change, with unchanged values taken from the old row where that has them.

        Raises:
            UnknownLabelError: the types are to be learnt again; not if `lenient`.
        """
        name = self.table.full_name
        before = None if change.old is None else self.row(change.old, lenient=lenient)
        if change.new is None:
            return Change(name, Op.DELETE, before, None, number)
        after = self.row(change.new, lenient=lenient)
        if change.kind == "I":
            return Change(name, Op.CREATE, None, after, number)
        if before is not None and not change.old_is_key:
            for field in unchanged_fields(after):
                after[field] = before[field]
        return Change(name, Op.UPDATE, before, after, number)


def read(reader: Any, value: object, *, lenient: bool = True) -> Any:
    """A value from its text. What cannot be read stays text, does not fit its schema, and so ends in the DLQ.

    Raises:
        UnknownLabelError: not if `lenient`.
    """
    if value is None or value is UNCHANGED or isinstance(value, bytes):
        return value
    try:
        return reader(value)
    except UnknownLabelError:
        if lenient:
            return value
        raise
    except (ValueError, ArithmeticError):
        return value


def unchanged_fields(row: Row) -> list[str]:
    """The fields whose TOASTed values were not sent."""
    return [field for field, value in row.items() if value is UNCHANGED]


def values_reader(table: Table) -> Callable[[tuple[str | None, ...]], tuple[Any, ...]]:
    """A function from COPY's text values to what they say, in the order of the columns."""
    columns = enumerate(table.columns)
    typed = [(place, column.type.read) for place, column in columns if column.type.read is not str]

    def values_of(texts: tuple[str | None, ...]) -> tuple[Any, ...]:
        values: list[Any] = list(texts)
        for place, reader in typed:
            values[place] = read(reader, values[place])
        return tuple(values)

    return values_of


def text_row(table: Table, values: Sequence[str | None]) -> Row:
    """A row out of COPY's text values."""
    return {column.avro: read(column.type.read, value) for column, value in zip(table.columns, values, strict=True)}
