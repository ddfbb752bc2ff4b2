"""What differs between two dumps: by key and a hash of the row, then the whole rows of what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from adapters.files.dump import PARQUET, rows_of
from adapters.files.engine import Engine, literal, quoted
from adapters.files.faults import DumpHeldError
from adapters.files.names import around, shown
from adapters.files.records import count_nameless

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.files.config import DatasetConfig
    from adapters.files.dump import Loaded

FREE_DELETIONS: Final = 10
"""So many deletions never ask, whatever their share, as long as a row is left."""

ACCEPT: Final = ".accept-deletions"

OP: Final = '"#op"'
HASH: Final = '"#hash"'
"""Columns of our own: no field is called so."""


class Counts(NamedTuple):
    """Changes by kind."""

    created: int
    updated: int
    deleted: int


def difference(engine: Engine, config: DatasetConfig, old: Path, new: Path, target: Path) -> Counts:
    """Write the changes from one dump's rows to another's, ordered by key.

    The hash is the engine's own, 64 bits, of all fields that are not the key, and tells null from empty; both sides are
    hashed here and now, so that another version of the engine finds no differences that are none.

    Args:
        engine: connected.
        config: of the dataset.
        old: rows of the last dump.
        new: rows of this one.
        target: for the changes: `#op`, then the fields before, then the fields after.

    Raises:
        SourceUnavailableError: no room for it.
    """
    before, after = rows_of(old, engine, config), rows_of(new, engine, config)
    keys = [quoted(field) for field in config.key]
    values = [quoted(field) for field in config.fields if field not in config.key]
    hashed = f"hash({', '.join(values)})" if values else "0"
    some = ", ".join([*keys, f"{hashed} as {HASH}"])
    same = " and ".join(f"n.{key} = o.{key}" for key in keys)
    op = f"case when n.{keys[0]} is null then 'd' when o.{keys[0]} is null then 'c' else 'u' end"
    named = ", ".join(f"coalesce(n.{key}, o.{key}) as {key}" for key in keys)
    engine.run(
        f"create or replace temp table changed as select {named}, {op} as {OP}"
        f" from (select {some} from {after}) n full join (select {some} from {before}) o on {same}"
        f" where n.{keys[0]} is null or o.{keys[0]} is null or n.{HASH} <> o.{HASH}"
    )
    sides = ", ".join(f'{side}.{quoted(field)} as "{side}.{field}"' for side in "on" for field in config.fields)
    joins = " ".join(
        f"left join {rows} {side} on {' and '.join(f'{side}.{key} = c.{key}' for key in keys)}"
        for side, rows in (("o", before), ("n", after))
    )
    order = ", ".join(f"c.{key}" for key in keys)
    engine.run(f"copy (select c.{OP}, {sides} from changed c {joins} order by {order}) to {literal(target)} {PARQUET}")
    found = dict(engine.rows(f"select {OP}, count(*) from changed group by {OP}"))
    engine.run("drop table changed")
    return Counts(found.get("c", 0), found.get("u", 0), found.get("d", 0))


def ask_before_deleting(counts: Counts, old: int, loaded: Loaded, config: DatasetConfig, name: str) -> None:
    """Stop before a cut-off dump deletes the world, or passes for a whole one because its last row is cut in its key.

    Args:
        counts: what would be published.
        old: rows of the last dump.
        loaded: this one.
        config: of the dataset.
        name: of the file.

    Raises:
        DumpHeldError: it lacks too large a share of the known rows, or all of them.
    """
    emptied = bool(old) and not loaded.rows
    lacks = counts.deleted + loaded.spared
    too_many = lacks > max(FREE_DELETIONS, config.max_deletion_share * old)
    if config.max_deletion_share >= 1 or not (emptied or too_many):
        return
    detail = f"it lacks {lacks} of {old} known rows, more than {config.max_deletion_share:.0%}"
    mark = shown(around("", name, ACCEPT))
    if loaded.spared:
        raise DumpHeldError(
            f"{detail}, and {count_nameless(loaded.rejects)} of its rows have no key that can be read",
            where=shown(name),
            fix="if it is cut off, replace it by a whole one;"
            f" to take the rows that it has and delete none, create an empty file {mark} beside it",
        )
    raise DumpHeldError(
        detail,
        where=shown(name),
        fix=f"if the rows are really gone, create an empty file {mark} beside it;"
        " if the dump is cut off, replace it by a whole one",
    )
