"""Tables as the server's catalogue describes them: columns, types, keys, replica identity."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from adapters.postgres.types import ColumnType, PgType, avro_name, column_type
from bus.spi import SourceDataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg import AsyncConnection

TABLES: Final = """
select c.oid, n.nspname, c.relname, c.relreplident, obj_description(c.oid, 'pg_class'),
       has_table_privilege(c.oid, 'select') and has_schema_privilege(n.oid, 'usage'), pg_has_role(c.relowner, 'usage'),
       c.relkind = 'p'
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and not c.relispartition and n.nspname not in ('pg_catalog', 'information_schema')
order by 2, 3
"""

COLUMNS: Final = """
select attrelid, attname, atttypid, atttypmod, attnotnull, col_description(attrelid, attnum)
from pg_attribute where attrelid = any(%s) and attnum > 0 and not attisdropped and attgenerated = ''
order by attrelid, attnum
"""

INDEXES: Final = """
select i.indrelid, i.indisprimary, i.indimmediate, i.indisreplident,
       array(select a.attname from unnest(i.indkey) k join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k)
from pg_index i
where i.indrelid = any(%s) and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
"""

TYPES: Final = """
select t.oid, t.typname, t.typtype, t.typelem, t.typbasetype, t.typtypmod, t.typcategory,
       array(select e.enumlabel from pg_enum e where e.enumtypid = t.oid order by e.enumsortorder)
from pg_type t where t.oid = any(%s)
"""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column: its name here and in Avro, and how it is read."""

    name: str
    avro: str
    type: ColumnType
    not_null: bool
    doc: str


@dataclass(frozen=True, slots=True)
class UniqueIndex:
    """A unique index without condition; `immediate` if the server checks it at every statement."""

    columns: tuple[str, ...]
    primary: bool
    immediate: bool
    identity: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A table that can be read.

    Attributes:
        identity: replica identity: d(efault), n(othing), f(ull), i(ndex).
        readable: whether our role may select from it.
        owned: whether our role may publish it.
        partitioned: its rows are kept in partitions.
    """

    oid: int
    schema: str
    name: str
    identity: str
    columns: tuple[TableColumn, ...]
    indexes: tuple[UniqueIndex, ...]
    readable: bool
    owned: bool
    partitioned: bool
    doc: str

    @property
    def full_name(self) -> str:
        """`schema.table`, the dataset's name at the source."""
        return f"{self.schema}.{self.name}"

    @property
    def sql_name(self) -> str:
        """The name as a statement needs it."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    @property
    def primary(self) -> UniqueIndex | None:
        """The primary key."""
        return next((index for index in self.indexes if index.primary), None)

    @property
    def identity_columns(self) -> tuple[str, ...]:
        """The columns that an old row holds."""
        match self.identity:
            case "f":
                return tuple(column.name for column in self.columns)
            case "i":
                return next((index.columns for index in self.indexes if index.identity), ())
            case "d":
                primary = self.primary
                return primary.columns if primary is not None and primary.immediate else ()
            case _:
                return ()

    def avro_names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """The Avro names of columns."""
        names = {column.name: column.avro for column in self.columns}
        return tuple(names[column] for column in columns)

    def row_schema(self) -> dict[str, Any]:
        """The Avro schema of a row. Every field may be null: an old row holds its replica identity only."""
        return {
            "type": "record",
            "name": "Row",
            "doc": self.doc or self.full_name,
            "fields": [_field(column) for column in self.columns],
        }

    def dataset(self) -> SourceDataset:
        """The table as the bus sees it."""
        primary = self.primary
        required = {column.name for column in self.columns if column.not_null}
        return SourceDataset(
            name=self.full_name,
            schema=self.row_schema(),
            primary_key=self.avro_names(primary.columns) if primary else (),
            before_image=frozenset(self.avro_names(self.identity_columns)),
            unique=tuple(
                frozenset(self.avro_names(index.columns))
                for index in self.indexes
                if index.immediate and required.issuperset(index.columns)
            ),
        )


def _field(column: TableColumn) -> dict[str, Any]:
    field: dict[str, Any] = {"name": column.avro, "type": ["null", column.type.schema], "default": None}
    doc = column.doc if column.avro == column.name else f"{column.name}: {column.doc}".rstrip(": ")
    return {**field, "doc": doc} if doc else field


_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*")


def quoted(name: str) -> str:
    """A name as a statement needs it: in quotes unless it is a plain one."""
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


class Types:
    """The server's types, asked for once each."""

    def __init__(self) -> None:
        self._rows: dict[int, tuple[Any, ...]] = {}

    async def load(self, connection: AsyncConnection[Any], oids: Sequence[int]) -> None:
        """Learn types, and the element and base types behind them."""
        wanted = [oid for oid in set(oids) if oid and oid not in self._rows]
        while wanted:
            found = await (await connection.execute(TYPES, (wanted,))).fetchall()
            self._rows.update({row[0]: row for row in found})
            wanted = [oid for row in found for oid in row[3:5] if oid and oid not in self._rows]

    def forget(self) -> None:
        """Ask again for every type: one has changed."""
        self._rows.clear()

    def type(self, oid: int) -> PgType:
        """A type that was learnt."""
        _, name, kind, element, base, modifier, category, labels = self._rows[oid]
        return PgType(
            name=name,
            element=self.type(element) if category == "A" and element else None,
            base=self.type(base) if kind == "d" else None,
            base_modifier=modifier,
            labels=tuple(labels),
        )


async def load_tables(connection: AsyncConnection[Any], types: Types) -> dict[str, Table]:
    """All user tables, by `schema.table`."""
    tables = await (await connection.execute(TABLES)).fetchall()
    oids = [row[0] for row in tables]
    columns = await (await connection.execute(COLUMNS, (oids,))).fetchall()
    indexes = await (await connection.execute(INDEXES, (oids,))).fetchall()
    await types.load(connection, [row[2] for row in columns])
    made = [_table(row, columns, indexes, types) for row in tables]
    return {table.full_name: table for table in made}


def _table(row: Any, columns: Sequence[Any], indexes: Sequence[Any], types: Types) -> Table:
    oid, schema, name, identity, doc, readable, owned, partitioned = row
    return Table(
        oid=oid,
        schema=schema,
        name=name,
        identity=identity,
        columns=tuple(
            make_column(types.type(type_oid), name, modifier, not_null=not_null, doc=column_doc or "")
            for relation, name, type_oid, modifier, not_null, column_doc in columns
            if relation == oid
        ),
        indexes=tuple(
            UniqueIndex(tuple(names), primary, immediate, replica)
            for relation, primary, immediate, replica, names in indexes
            if relation == oid
        ),
        readable=readable,
        owned=owned,
        partitioned=partitioned,
        doc=doc or "",
    )


def make_column(kind: PgType, name: str, modifier: int, *, not_null: bool, doc: str) -> TableColumn:
    """A column of a type."""
    avro = avro_name(name)
    return TableColumn(name, avro, column_type(kind, modifier, f"{avro}_enum"), not_null, doc)
