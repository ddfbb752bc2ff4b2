"""From the bytes of a dump to whole records, each with its line number; what is not one is told apart by its line.

The good records are written to a clean file in UTF-8 that the engine reads without a fault: a line number, then the
fields as they came. A bad row costs itself and nothing else: a quote that is never closed would swallow the rows behind
it, so such a record is rejected by its first line, and reading goes on with the next.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from adapters.files.faults import DumpRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Protocol, TextIO

    class CsvReader(Protocol):
        """What `csv.reader` returns."""

        line_num: int

        def __iter__(self) -> Iterator[list[str]]: ...  # noqa: D105
        def __next__(self) -> list[str]: ...  # noqa: D105


NULL: Final = "\x1a"
"""Stands for null in the clean file where a record is written anew; a control character that no text has alone."""

MOST_LINES: Final = 200
"""Lines of one record, through line breaks inside quotes."""


LONGEST_LINE: Final = 1 << 22
"""Bytes; a file with a longer one is no table."""

LONGEST_RECORD: Final = 1 << 17
"""Characters: the longest field that Python's `csv` reads."""

MOST_ROW_BYTES: Final = 320_000
"""Of a row in UTF-8: three times that (before, after, and all of it may be the key), with headers, still fits into what
a broker takes as one record, 1 MB."""

SURELY_SHORT: Final = MOST_ROW_BYTES // 4
"""Characters of a line whose bytes need not be counted."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that cannot be read.

    Attributes:
        line: number of its first line in the file, from 1.
        rule: that it breaks: encoding, columns, quotes, key, type.
        reason: one sentence, without values.
        field: that breaks it; empty if it is the whole row.
        key_known: its key could be read.
        lines: that it takes.
    """

    line: int
    rule: str
    reason: str
    field: str = ""
    key_known: bool = False
    lines: int = 1


def count_nameless(rejects: Iterable[Reject]) -> int:
    """How many of them are rows whose key could not be read."""
    return sum(not reject.key_known for reject in rejects)


class Records:
    """Takes the bytes behind the header in, in chunks, and writes the clean file.

    Args:
        sink: of the clean file.
        codec: of the dump.
        delimiter: between its fields.
        quote: around them; empty if nothing is quoted.
        fields: of a record.
    """

    def __init__(self, sink: TextIO, codec: str, delimiter: str, quote: str, fields: int) -> None:
        self.rejects: list[Reject] = []
        self.rows = 0
        """Good records."""
        self.nulls_marked = False
        """Nulls stand as `NULL` in some records."""
        self._sink = sink
        self._codec = codec
        self._delimiter = delimiter
        self._quote = quote
        self._fields = fields
        self._line = 2
        self._rest = b""
        self._carry: list[str | None] = []
        self._writer = csv.writer(sink, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n")
        mark, quoted = re.escape(delimiter), re.escape(quote or '"')
        self._field = re.compile(
            f"(?:{quoted}(?:[^{quoted}]|{quoted}{quoted})*{quoted}|[^{mark}]*)(?:{mark}|$)", re.DOTALL
        )

    def take(self, data: bytes, *, last: bool = False) -> None:
        """Take the next bytes in; `last` of the file.

        Raises:
            DumpRefusedError: a line without an end.
        """
        data = self._rest + data
        cut = len(data) if last else data.rfind(b"\n") + 1
        self._rest, data = data[cut:], data[:cut]
        if len(self._rest) > LONGEST_LINE:
            raise DumpRefusedError(
                f"line {self._line + len(self._carry)} has no end: more than {LONGEST_LINE >> 20} MiB",
                fix="write it as CSV, a row a line",
            )
        if last:
            data = data.removesuffix(b"\x1a")  # as DOS programs end a text
        try:
            text = data.decode(self._codec)
        except UnicodeDecodeError:
            self._one_by_one([*self._carry, *self._decoded(data)], last=last)
            return
        text = text.replace("\r\n", "\n")
        lines = text.removesuffix("\n").split("\n") if text else []
        long = len(text) > SURELY_SHORT and any(len(line) > SURELY_SHORT for line in lines)
        if self._carry or long or not (self._plain(text, lines) or self._quoted(text, lines)):
            self._one_by_one([*self._carry, *lines], last=last)

    def _decoded(self, data: bytes) -> Iterable[str | None]:
        """Lines; None for one that is not of the encoding. In none of ours is a byte of a character a newline."""
        for line in data.removesuffix(b"\n").split(b"\n"):
            try:
                yield line.decode(self._codec).removesuffix("\r")
            except UnicodeDecodeError:
                yield None

    def _plain(self, text: str, lines: list[str]) -> bool:
        """Lines without any quotes: each stands for itself, and the good ones go over as they are."""
        if '"' in text or (self._quote and self._quote in text) or "\r" in text or "\0" in text or NULL in text:
            return False
        mark, others = self._delimiter, self._fields - 1
        good = [
            f"{number}{mark}{line}\n"
            for number, line in enumerate(lines, self._line)
            if line.count(mark) == others and line
        ]
        self._sink.writelines(good)
        self.rows += len(good)
        if len(good) < len(lines):
            for number, line in enumerate(lines, self._line):
                if line and (found := line.count(mark)) != others:
                    reason = f"line {number}: {found + 1} columns; the header has {self._fields}"
                    self.rejects.append(Reject(number, "columns", reason))
        self._line += len(lines)
        return True

    def _quoted(self, text: str, lines: list[str]) -> bool:
        """A record a line, quoted well, all of them good."""
        if "\r" in text or "\0" in text or NULL in text or not self._quote:
            return False
        if any(line.count(self._quote) % 2 for line in lines):
            return False
        try:
            rows = list(self._reader(lines))
        except csv.Error:
            return False
        if len(rows) != len(lines) or any(len(row) != self._fields for row in rows):
            return False
        made = zip(rows, lines, strict=True)
        self._write([[str(number), *self._nulls(*each)] for number, each in enumerate(made, self._line)])
        self._line += len(lines)
        return True

    def _write(self, rows: list[list[str]]) -> None:
        self._writer.writerows(rows)
        self.rows += len(rows)
        self.nulls_marked = True

    def _reader(self, lines: Iterable[str]) -> CsvReader:
        if not self._quote:
            return csv.reader(lines, delimiter=self._delimiter, quoting=csv.QUOTE_NONE, strict=True)
        return csv.reader(lines, delimiter=self._delimiter, quotechar=self._quote, strict=True)

    def _nulls(self, row: list[str], text: str) -> list[str]:
        """The row with its nulls marked: nothing between two delimiters is null, two quotes are an empty text."""
        if "" not in row:
            return row
        if not self._quote or self._quote * 2 not in text:
            return [value or NULL for value in row]
        parts = self._field.findall(text)[: len(row)]
        return [value or ("" if part.startswith(self._quote) else NULL) for value, part in zip(row, parts, strict=True)]

    def _one_by_one(self, lines: Sequence[str | None], *, last: bool) -> None:
        self._carry = []
        at, rows = 0, []
        while at < len(lines):
            line = lines[at]
            if line is None:
                self._reject("encoding", f"not {self._codec}")
                at, self._line = at + 1, self._line + 1
                continue
            if not line:
                at, self._line = at + 1, self._line + 1
                continue
            record = self._record(lines, at, last=last)
            if record is None:
                self._carry = list(lines[at:])
                break
            row, used = record
            if row is not None:
                text = "\n".join(each or "" for each in lines[at : at + used])
                rows.append([str(self._line), *self._nulls(row, text)])
            at, self._line = at + used, self._line + used
        self._write(rows)

    def _record(self, lines: Sequence[str | None], at: int, *, last: bool) -> tuple[list[str] | None, int] | None:
        """The record that begins at a line, or None if it is bad, and its lines; None if more lines must come first."""
        first = lines[at] or ""
        if (not self._quote or self._quote not in first) and "\r" not in first:
            row, used = first.split(self._delimiter), 1
        else:
            some = takewhile(lambda line: line is not None, lines[at : at + MOST_LINES])
            reader = self._reader(f"{line}\n" for line in some)
            try:
                row, used = next(reader), reader.line_num
            except csv.Error:
                if reader.line_num == len(lines) - at < MOST_LINES and not last:
                    return None
                self._reject("quotes", "a quote is not closed, or stands where none may stand")
                return None, 1
        if fault := self._fault_of(row):
            # Whole, as its quotes say: a line out of the middle of a text must not be taken for a row.
            self._reject(*fault, used)
            return None, used
        return row, used

    def _fault_of(self, row: list[str]) -> tuple[str, str] | None:
        """The rule that a record breaks, and how."""
        size = sum(map(len, row))
        if size > LONGEST_RECORD:
            return "columns", f"longer than {LONGEST_RECORD} characters"
        if size > SURELY_SHORT and sum(len(value.encode()) for value in row) > MOST_ROW_BYTES:
            return "columns", f"longer than {MOST_ROW_BYTES} bytes"
        if NULL in row or any("\0" in value for value in row):
            return "encoding", "a control character stands in it"
        if len(row) != self._fields:
            return "columns", f"{len(row)} columns; the header has {self._fields}"
        return None

    def _reject(self, rule: str, reason: str, lines: int = 1) -> None:
        place = f"line {self._line}" if lines == 1 else f"lines {self._line}-{self._line + lines - 1}"
        self.rejects.append(Reject(self._line, rule, f"{place}: {reason}", lines=lines))
