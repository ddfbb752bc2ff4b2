"""A unit as batches, read from its own files: however often it is read, row for row the same."""

from __future__ import annotations

import asyncio
import base64
import json
from itertools import islice
from typing import TYPE_CHECKING, Final

from adapters.files.difference import OP
from adapters.files.engine import Engine, parquet, quoted
from adapters.files.rows import RowReader
from adapters.files.unit import Kind
from bus.spi import Batch, Op, Rejected, RowChanges, Snapshot

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence
    from pathlib import Path

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
    read = RowReader(config, (1, len(config.fields) + 1) if unit.changes_file else (0,))
    op = None if unit.changes_file else Op.READ
    with Engine(folder / "reading", MEMORY_MB, ordered=True) as engine:
        await asyncio.to_thread(lambda: engine.run(_statement(unit, folder, config, engine)))
        while rows := await asyncio.to_thread(engine.more, ROWS):
            yield RowChanges(unit.dataset, config.fields, read(rows), number + 1, op)
            number += len(rows)


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
    columns = [quoted(name) if name in there else "null" for name in wanted]
    op = [OP] if unit.changes_file else []
    return f"select {', '.join([*op, *columns])} from {source}"
