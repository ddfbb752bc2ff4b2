"""The first line of a dump: which column is which field."""

from __future__ import annotations

import csv
from collections import Counter
from typing import TYPE_CHECKING

from adapters.files.faults import DumpRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapters.files.config import DatasetConfig

OTHER_DELIMITERS = ",;\t|"


def read_header(line: bytes, codec: str, config: DatasetConfig, name: str) -> list[str]:
    """The columns' names.

    Args:
        line: the first line, without a byte order mark.
        codec: of the dump.
        config: of the dataset.
        name: of the file.

    Raises:
        DumpRefusedError: there is none.
    """
    try:
        text = line.decode(codec).rstrip("\r\n")
    except UnicodeDecodeError:
        raise DumpRefusedError(
            f"its header is not {codec}", where=f"{name}:1", fix="name its encoding in the dataset's `encoding`"
        ) from None
    try:
        if config.quote:
            found = next(csv.reader([text], delimiter=config.delimiter, quotechar=config.quote), [])
        else:
            found = text.split(config.delimiter)
    except csv.Error:
        raise DumpRefusedError(
            "its header cannot be read", where=f"{name}:1", fix="check `delimiter` and `quote`"
        ) from None
    return [column.strip() for column in found]


def check_header(columns: list[str], config: DatasetConfig, name: str, others: Mapping[str, DatasetConfig]) -> None:
    """Refuse a header that lacks a column of the dataset, or has one twice.

    Raises:
        DumpRefusedError: with the columns that the dataset expects; never with the file's own first line, which may
            be somebody's data.
    """
    where = f"{name}:1"
    doubled = [column for column, count in Counter(columns).items() if count > 1 and column in config.columns]
    if doubled:
        raise DumpRefusedError(
            f"column {', '.join(doubled)} stands in the header more than once",
            where=where,
            fix="write every column once, under its own name",
        )
    missing = [column for column in config.columns if column not in columns]
    if not missing:
        return
    if len(missing) < len(config.columns):
        raise DumpRefusedError(
            f"the header lacks {', '.join(missing)}",
            where=where,
            fix="write the column, or mend the dataset's `columns`",
        )
    raise DumpRefusedError(
        f"the first line holds none of the dataset's columns: {_why(columns, config, others)}",
        where=where,
        fix=f"the first line must name the columns: {config.delimiter.join(config.columns)}",
    )


def _why(columns: list[str], config: DatasetConfig, others: Mapping[str, DatasetConfig]) -> str:
    """What it may be instead."""
    for name, other in others.items():
        if set(other.columns) <= set(columns):
            return f"it is a dump of the dataset {name}"
    if len(columns) == 1:
        split = [mark for mark in OTHER_DELIMITERS if set(config.columns) <= set(columns[0].split(mark))]
        if split:
            return f"`delimiter` should be {split[0]!r}"
    return "there is no header, or it is a dump of something else"
