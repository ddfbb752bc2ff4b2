"""One dump, read whole into a file of rows: good ones, those kept from before, and a list of rejects."""

from __future__ import annotations

import codecs
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from adapters.files.encoding import CHUNK, encoding_of
from adapters.files.engine import Engine, literal, parquet, quoted
from adapters.files.faults import DumpRefusedError, StoppedError, no_room
from adapters.files.header import check_header, read_header
from adapters.files.names import shown
from adapters.files.records import NULL, Records, Reject, count_nameless
from adapters.files.rows import fault_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from adapters.files.config import DatasetConfig

LINE: Final = '"#line"'
BAD: Final = '"#bad"'

FREE_REJECTS: Final = 10
"""So many bad rows never make a dump refused, whatever their share, as long as one row is good."""

MOST_REJECTS: Final = 200_000
"""Beyond that it is refused without reading on, so that memory stays bounded."""

PARQUET: Final = "(format parquet, compression lz4_raw, row_group_size 40960, row_group_size_bytes '4MB')"
"""A group is read as a whole, several times over in memory: small ones, however long the rows are."""


MOST_BYTES: Final = 2 << 20
"""Of a record in the clean file; see `LONGEST_RECORD`. The engine's buffers are many times that."""

MOST_ORIGINAL: Final = 256 << 10
"""Bytes of a rejected row that go to the dead letters; a broker takes no record of more than 1 MB."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A dump that was read.

    Attributes:
        rows: good ones, and those kept from the last dump.
        kept: rows kept from the last dump because what the dump says of them cannot be read.
        spared: of those, the ones that may be gone: a row whose key cannot be read may be any that is missing, and
            there are more missing than such rows.
        rejects: bad rows, by line.
        digest: SHA-256 of the file, in hex.
    """

    rows: int
    kept: int
    spared: int
    rejects: tuple[Reject, ...]
    digest: str


class Dump:
    """A dump on its way into rows.

    Args:
        path: of the file.
        dataset: its name.
        datasets: all, by name.
        engine: connected; the clean file is written to its folder.
        stopped: asked between chunks; true ends the work.
    """

    def __init__(
        self,
        path: Path,
        dataset: str,
        datasets: Mapping[str, DatasetConfig],
        engine: Engine,
        stopped: Callable[[], bool],
    ) -> None:
        self._path = path
        self._name = shown(path.name)
        self._config = datasets[dataset]
        self._others = {name: each for name, each in datasets.items() if name != dataset}
        self._engine = engine
        self._stopped = stopped
        self._clean = engine.folder / "clean"
        self._loaded = engine.folder / "loaded.parquet"

    def load(self, target: Path, base: Path | None) -> Loaded:
        """Write the rows to `target`.

        Args:
            target: a Parquet file of texts, a column for each field.
            base: the last dump's rows; those that this dump tells in a way that cannot be read are kept from it.

        Raises:
            DumpRefusedError: the file as a whole cannot be used.
            SourceUnavailableError: no room for it.
            StoppedError: the adapter is closing.
        """
        if not self._path.stat().st_size:
            raise DumpRefusedError("it is empty, without even a header", where=self._name, fix="write it again")
        columns, records, digest = self._read()
        self._engine.run(f"copy ({self._select(columns, records)}) to {literal(self._loaded)} {PARQUET}")
        self._clean.unlink()
        rejects = [*records.rejects, *self._bad_rows()]
        rows = records.rows - (len(rejects) - len(records.rejects))
        self._refuse_bad(rejects, rows)
        self._refuse_doubled()
        kept, spared = self._keep(target, base, rejects)
        return Loaded(rows + kept, kept, spared, tuple(sorted(rejects, key=lambda reject: reject.line)), digest)

    def _read(self) -> tuple[list[str], Records, str]:
        codec = encoding_of(self._path, self._config.codec)
        digest = hashlib.sha256()
        with self._path.open("rb") as source, self._clean.open("w", encoding="utf-8", newline="") as sink:
            header = source.readline(CHUNK)
            digest.update(header)
            columns = read_header(header.removeprefix(codecs.BOM_UTF8), codec, self._config, self._name)
            check_header(columns, self._config, self._name, self._others)
            records = Records(sink, codec, self._config.delimiter, self._config.quote, len(columns))
            try:
                while chunk := source.read(CHUNK):
                    self._go_on(records)
                    digest.update(chunk)
                    records.take(chunk)
                records.take(b"", last=True)
                sink.flush()
            except DumpRefusedError as error:
                error.where = error.where or self._name  # records do not know whose they are
                raise
            except OSError as error:
                raise no_room(self._clean.parent, error) from None
        return columns, records, digest.hexdigest()

    def _go_on(self, records: Records) -> None:
        if self._stopped():
            raise StoppedError
        if len(records.rejects) > MOST_REJECTS:
            self._refuse_bad(records.rejects, records.rows)

    def _select(self, columns: list[str], records: Records) -> str:
        """The fields by their names, and what is wrong with a row."""
        mark = self._config.delimiter
        names = {column: f'"#{number}"' for number, column in enumerate(columns)}
        told = ", ".join([f"{LINE[1:-1]!r}: 'bigint'", *(f"'#{number}': 'varchar'" for number in range(len(columns)))])
        read = (
            f"read_csv({literal(self._clean)}, auto_detect=false, header=false, delim={literal(mark)}, quote='\"',"
            f" escape='\"', new_line='\\n', nullstr='', allow_quoted_nulls=false, max_line_size={MOST_BYTES},"
            f" columns={{{told}}})"
        )
        form = f"nullif({{}}, {literal(NULL)})" if records.nulls_marked else "{}"
        fields = ", ".join(
            f"{form.format(names[column])} as {quoted(field)}" for column, field in self._config.columns.items()
        )
        return f"select *, {self._fault()} as {BAD} from (select {LINE}, {fields} from {read})"

    def _fault(self) -> str:
        keys = "".join(
            f" when {quoted(field)} is null or {quoted(field)} = '' then {literal(f'key:{field}')}"
            for field in self._config.key
        )
        types = "".join(
            f" when {fault_of(field, kind)} then {literal(f'type:{field}')}"
            for field, kind in self._config.types.items()
            if kind != "string"
        )
        return f"case{keys}{types} end"

    def _bad_rows(self) -> list[Reject]:
        found = self._engine.rows(
            f"select {LINE}, {BAD} from {parquet(self._loaded)} where {BAD} is not null limit {MOST_REJECTS + 1}"
        )
        return [self._bad_row(line, *bad.split(":", 1)) for line, bad in found]

    def _bad_row(self, line: int, rule: str, field: str) -> Reject:
        kind = self._config.kind_of(field)
        reason = "the key is empty" if rule == "key" else f"{field} is not a {kind}"
        in_key = rule == "key" or field in self._config.key
        return Reject(line, rule, f"line {line}: {reason}", field, key_known=not in_key)

    def _refuse_bad(self, rejects: list[Reject], rows: int) -> None:
        if not rejects or (
            rows and len(rejects) <= max(FREE_REJECTS, self._config.max_rejected_share * (rows + len(rejects)))
        ):
            return
        first = min(rejects, key=lambda reject: reject.line)
        raise DumpRefusedError(
            f"{len(rejects)} of {rows + len(rejects)} rows cannot be read, more than"
            f" {self._config.max_rejected_share:.0%}; the first: {first.reason}",
            where=f"{self._name}:{first.line}",
            fix="check the dump, and `encoding`, `delimiter`, `quote`, `types` of the dataset",
        )

    def _refuse_doubled(self) -> None:
        """Rows that share a key: by hash first, which takes little memory, then exactly."""
        key = self._key()
        good = f"(select * from {parquet(self._loaded)} where {BAD} is null or {BAD} not like 'key:%')"
        hashes = f"select hash({key}) from {good} group by 1 having count(*) > 1"
        if not self._engine.number(f"select count(*) from ({hashes})"):
            return
        doubled = (
            f"select list({LINE} order by {LINE}) as lines from {good} where hash({key}) in ({hashes})"
            f" group by {key} having count(*) > 1"
        )
        count = self._engine.number(f"select count(*) from ({doubled})")
        if not count:
            return
        lines = self._engine.rows(f"select lines[1:3] from ({doubled}) order by lines[1] limit 3")
        places = "; ".join(" and ".join(map(str, each)) for (each,) in lines)
        raise DumpRefusedError(
            f"{count} key(s) ({', '.join(self._config.key)}) stand in it more than once: lines {places}",
            where=f"{self._name}:{lines[0][0][0]}",
            fix="write one row for each key, or choose a key that is unique",
        )

    def _keep(self, target: Path, base: Path | None, rejects: list[Reject]) -> tuple[int, int]:
        """Good rows, and what the last dump said where this one cannot be read: how many of those, and the spared."""
        fields = ", ".join(quoted(field) for field in self._config.fields)
        good = f"select {fields} from {parquet(self._loaded)} where {BAD} is null"
        kept = spared = 0
        if base is not None and rejects:
            last, told, missing = rows_of(base, self._engine, self._config), self._told_badly(), self._missing()
            if nameless := count_nameless(rejects):
                more = self._engine.number(f"select count(*) from {last} b where {missing} and not ({told})")
                spared = max(0, more - nameless)
            kept_rows = f"select {fields} from {last} b where {told}" + (f" or {missing}" if nameless else "")
            kept = self._engine.number(f"select count(*) from ({kept_rows})")
            good = f"{good} union all {kept_rows}"
        self._engine.run(f"copy ({good}) to {literal(target)} {PARQUET}")
        return kept, spared

    def _told_badly(self) -> str:
        """SQL that is true for rows of the last dump whose keys are in this one, in rows that cannot be read."""
        return f"({self._key()}) in (select ({self._key()}) from {parquet(self._loaded)} where {BAD} like 'type:%')"

    def _missing(self) -> str:
        """SQL that is true for rows of the last dump that are no good row of this one."""
        return f"({self._key()}) not in (select ({self._key()}) from {parquet(self._loaded)} where {BAD} is null)"

    def _key(self) -> str:
        return ", ".join(quoted(field) for field in self._config.key)


def rows_of(path: Path, engine: Engine, config: DatasetConfig) -> str:
    """SQL of a file of rows, with the fields of today: one that it does not have is null."""
    there = {row[0] for row in engine.rows(f"describe select * from {parquet(path)}")}
    fields = ", ".join(
        quoted(field) if field in there else f"null::varchar as {quoted(field)}" for field in config.fields
    )
    return f"(select {fields} from {parquet(path)})"


def lines_of(path: Path, rejects: Iterable[Reject]) -> dict[int, bytes]:
    """Rejected rows by their first line, as they stand in the file."""
    first = {reject.line + more: reject.line for reject in rejects for more in range(reject.lines)}
    found: dict[int, bytes] = {}
    with path.open("rb") as opened:
        for number, line in enumerate(opened, 1):
            if number in first:
                found[first[number]] = found.get(first[number], b"") + line
    return {number: lines.rstrip(b"\r\n")[:MOST_ORIGINAL] for number, lines in found.items()}
