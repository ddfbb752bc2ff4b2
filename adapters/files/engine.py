"""DuckDB, with bounded memory: what exceeds it goes to a folder on disk."""

from __future__ import annotations

import atexit
import functools
import gc
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import duckdb
import nanoarrow

from adapters.files.faults import EngineError, StoppedError, no_memory, no_room

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from nanoarrow.c_array import CArray


def quoted(name: str) -> str:
    """A name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: object) -> str:
    """A text in SQL."""
    return "'" + str(text).replace("'", "''") + "'"


def parquet(path: Path) -> str:
    """A Parquet file in SQL, whatever it is called."""
    return f"read_parquet({literal(path)})"


@functools.cache
def let_go_at_exit() -> None:
    """Let the engine's own types go when the process ends.

    A worker in the same process freezes what is loaded (`bus.process.collect_rarely`), and what is frozen is not
    collected at the end either: the engine's binding then writes a line for each of its types and functions, which
    bury the message of an error.
    """
    atexit.register(gc.unfreeze)


class Engine:
    """One connection of its own; `with Engine(folder, 300) as engine`.

    Args:
        folder: for what does not fit into memory; emptied at the beginning and at the end.
        memory_mb: the limit.
        ordered: rows come in the order of the file that they are read from.
    """

    def __init__(self, folder: Path, memory_mb: int, *, ordered: bool = False) -> None:
        self.folder = folder
        self._memory_mb = memory_mb
        self._ordered = ordered

    def __enter__(self) -> Self:
        """Connect."""
        try:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise no_room(self.folder, error) from None
        self._connection = duckdb.connect(
            config={
                "memory_limit": f"{self._memory_mb}MB",
                "threads": 2,
                "temp_directory": str(self.folder / "spill"),
                "preserve_insertion_order": self._ordered,
                "autoinstall_known_extensions": False,
            }
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect, and leave nothing."""
        self._connection.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def interrupt(self) -> None:
        """End what runs, from another thread."""
        self._connection.interrupt()

    def run(self, statement: str) -> None:
        """Run a statement.

        Raises:
            SourceUnavailableError: no room on disk, or in memory.
            StoppedError: it was interrupted.
            EngineError: anything else.
        """
        with self._told():
            self._connection.execute(statement)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """All rows of a query that has few."""
        self.run(statement)
        return self.more(1 << 30)

    def more(self, most: int) -> list[tuple[Any, ...]]:
        """The next rows of the last query."""
        with self._told():
            return self._connection.fetchmany(most)

    def columns(self, statement: str) -> Iterator[CArray]:
        """The rows of a query as struct arrays, each of a row group of the file at most; see `run`."""
        with self._told():
            parts = iter(nanoarrow.ArrayStream(self._connection.sql(statement)))
        while True:
            with self._told():
                part = next(parts, None)
            if part is None:
                return
            yield nanoarrow.c_array(part)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Raise the engine's errors as ours, without their texts, which may hold values."""
        try:
            yield
        except duckdb.InterruptException:
            raise StoppedError from None
        except duckdb.OutOfMemoryException:
            raise no_memory(self.folder.parent) from None
        except duckdb.IOException as error:
            raise no_room(self.folder.parent, error) from None
        except duckdb.Error as error:
            raise EngineError(type(error).__name__) from None
        except RuntimeError as error:  # the stream's, which has the engine's error as a text
            raise self._of_a_stream(str(error)) from None

    def _of_a_stream(self, text: str) -> Exception:
        if "INTERRUPT Error" in text:
            return StoppedError()
        if "Out of Memory Error" in text:
            return no_memory(self.folder.parent)
        if "IO Error" in text:
            return no_room(self.folder.parent, OSError())
        return EngineError("an error while rows were read")

    def number(self, statement: str) -> int:
        """The one number that a query tells."""
        return int(self.rows(statement)[0][0])
