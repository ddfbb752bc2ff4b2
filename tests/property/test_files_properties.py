"""Any two dumps: the changes, applied to the old one, give the new one; a row that cannot be read changes nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.files.config import DatasetConfig
from adapters.files.difference import difference
from adapters.files.dump import Dump, Loaded
from adapters.files.engine import Engine, parquet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CONFIG = DatasetConfig(
    files="*", columns={"k": "k", "a": "a", "n": "n"}, key=("k",), types={"n": "long"}, max_rejected_share=1
)

texts = st.text(
    st.one_of(st.sampled_from("ab,\"\n;'　王１"), st.characters(exclude_characters="\r\0\x1a", codec="utf-8")),
    max_size=6,
)
keys = st.text(st.sampled_from('ab,"\n王'), min_size=1, max_size=2)
values = st.tuples(st.none() | texts, st.none() | st.integers(-(2**63), 2**63 - 1).map(str))
dumps = st.dictionaries(keys, values, max_size=12)
Row = tuple[str | None, str | None]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Engine(tmp_path_factory.mktemp("files") / "work", 100, ordered=True) as connected:
        yield connected


def quoted(value: str | None) -> str:
    return "" if value is None else '"' + value.replace('"', '""') + '"'


def line(key: str, row: Row) -> str:
    return ",".join(map(quoted, (key, *row)))


def text(lines: list[str]) -> bytes:
    return "\n".join(["k,a,n", *lines, ""]).encode()


def load(engine: Engine, folder: Path, name: str, data: bytes, base: Path | None = None) -> tuple[Path, Loaded]:
    source = folder / f"{name}.csv"
    source.write_bytes(data)
    target = folder / name
    return target, Dump(source, "d", {"d": CONFIG}, engine, lambda: False).load(target, base)


def rows(engine: Engine, path: Path) -> dict[str, Row]:
    return {key: (a, n) for key, a, n in engine.rows(f"select k, a, n from {parquet(path)}")}


def applied(engine: Engine, old: Mapping[str, Row], path: Path) -> dict[str, Row]:
    """The old rows with the changes; every before-image is what was there."""
    state = dict(old)
    found: list[tuple[Any, ...]] = engine.rows(f"select * from {parquet(path)}")
    for op, before_key, *rest in found:
        before, key, after = (rest[0], rest[1]), rest[2], (rest[3], rest[4])
        if op == "c":
            assert key not in state
            assert (before_key, *before) == (None, None, None)
        else:
            assert state.pop(before_key) == before
        if op == "d":
            assert (key, *after) == (None, None, None)
        else:
            assert op == "c" or after != before
            state[key] = after
    return state


@settings(max_examples=60, deadline=None)
@given(dumps, dumps)
def test_the_changes_applied_to_the_old_dump_give_the_new_one(
    engine: Engine, old: dict[str, Row], new: dict[str, Row]
) -> None:
    with tempfile.TemporaryDirectory() as named:
        folder = Path(named)
        old_rows, _ = load(engine, folder, "old", text([line(*each) for each in old.items()]))
        new_rows, loaded = load(engine, folder, "new", text([line(*each) for each in new.items()]))
        assert rows(engine, old_rows) == old
        counts = difference(engine, CONFIG, old_rows, new_rows, folder / "changes")

        assert loaded.rejects == ()
        assert applied(engine, old, folder / "changes") == new
        assert counts.created == len(new.keys() - old.keys())
        assert counts.deleted == len(old.keys() - new.keys())


@settings(max_examples=60, deadline=None)
@given(dumps, dumps.filter(bool), st.sets(st.integers(0, 11)), st.booleans())
def test_a_row_that_cannot_be_read_changes_nothing(
    engine: Engine, old: dict[str, Row], new: dict[str, Row], bad: set[int], ragged: bool
) -> None:
    broken = {key for number, key in enumerate(new) if number in bad}
    good = {key: row for key, row in new.items() if key not in broken}
    good = good or {"good": (None, None)}  # a dump without one good row is refused
    lines = [line(*each) for each in good.items()]
    lines += [f"{quoted(key)},x" if ragged else f"{quoted(key)},x,１" for key in broken]
    with tempfile.TemporaryDirectory() as named:
        folder = Path(named)
        old_rows, _ = load(engine, folder, "old", text([line(*each) for each in old.items()]))
        new_rows, loaded = load(engine, folder, "new", text(lines), old_rows)
        difference(engine, CONFIG, old_rows, new_rows, folder / "changes")

        kept = old if ragged and broken else {key: row for key, row in old.items() if key in broken}
        assert len(loaded.rejects) == len(broken)
        assert applied(engine, old, folder / "changes") == kept | good
