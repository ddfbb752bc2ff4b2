"""A unit as batches, read from its own files: however often it is read, row for row the same."""

from __future__ import annotations

import asyncio
import base64
import json
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import nanoarrow

from adapters.files.difference import OP
from adapters.files.engine import Engine, parquet
from adapters.files.rows import value_of
from adapters.files.unit import Kind
from bus.spi import Batch, ColumnChanges, Op, Rejected, Snapshot

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence
    from pathlib import Path

    from nanoarrow.c_array import CArray

    from adapters.files.config import DatasetConfig
    from adapters.files.unit import Unit
    from bus.spi import Change

ROWS: Final = 1_000
"""Changes of a batch."""

MEMORY_MB: Final = 100


async def batches(unit: Unit, folder: Path, config: DatasetConfig) -> AsyncGenerator[Batch]:
    """All batches of a unit: rejects first, then the changes or the rows.

    Args:
        unit: which.
        folder: with its files.
        config: of its dataset.

    Raises:
        SourceUnavailableError: the files cannot be read.
    """
    whole = unit.kind is Kind.SNAPSHOT
    transaction = None if unit.kind is not Kind.CHANGES else unit.name
    if whole:
        yield Batch(unit.name, last=False, time=unit.time, snapshot=Snapshot.BEGIN, datasets=(unit.dataset,))
    waiting: Sequence[Change] = ()
    async for changes in _changes(unit, folder, config):
        if waiting:
            yield Batch(unit.name, waiting, last=False, time=unit.time, transaction=transaction)
        waiting = changes
    if waiting or not whole:
        yield Batch(unit.name, waiting, last=not whole, time=unit.time, transaction=transaction)
    if whole:
        yield Batch(unit.name, last=True, time=unit.time, snapshot=Snapshot.END, datasets=(unit.dataset,))


async def _changes(unit: Unit, folder: Path, config: DatasetConfig) -> AsyncGenerator[Sequence[Change]]:
    number = 0
    if unit.rejects_file:
        with (folder / unit.rejects_file).open(encoding="utf-8") as lines:
            while some := await asyncio.to_thread(_rejects, lines, unit.dataset, number):
                number += len(some)
                yield some
    op = None if unit.changes_file else Op.READ
    with Engine(folder / "reading", MEMORY_MB, ordered=True) as engine:
        parts = engine.columns(await asyncio.to_thread(_statement, unit, folder, config, engine))
        while (part := await asyncio.to_thread(next, parts, None)) is not None:
            for start in range(0, len(part), ROWS):
                some = part[start : min(start + ROWS, len(part))]
                values = partial(_values, some)
                yield ColumnChanges(unit.dataset, config.fields, some, len(some), values, number + 1, op)
                number += len(some)


def _values(columns: CArray) -> list[tuple[Any, ...]]:
    return list(nanoarrow.Array(columns).iter_tuples())


def _rejects(lines: Iterator[str], dataset: str, number: int) -> list[Change]:
    found: list[Change] = []
    for at, line in enumerate(islice(lines, ROWS), number + 1):
        told = json.loads(line)
        original = base64.b64decode(told["original"])
        found.append(
            Rejected(
                dataset, Op.READ, None, None, at,
                rule=told["rule"], field=told["field"], reason=told["reason"], original=original,
            )
        )  # fmt: skip
    return found


def _statement(unit: Unit, folder: Path, config: DatasetConfig, engine: Engine) -> str:
    """A field that is new in the configuration is null in what was written before."""
    source = parquet(folder / (unit.changes_file or unit.rows_file))
    there = {row[0] for row in engine.rows(f"describe select * from {source}")}
    sides = ("o.", "n.") if unit.changes_file else ("",)
    wanted = [side + field for side in sides for field in config.fields]
    kinds = [config.kind_of(field) for _ in sides for field in config.fields]
    columns = [value_of(*each) if each[0] in there else "null" for each in zip(wanted, kinds, strict=True)]
    op = [OP] if unit.changes_file else []
    return f"select {', '.join([*op, *columns])} from {source}"
