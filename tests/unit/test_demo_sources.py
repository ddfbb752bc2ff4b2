"""What the demo's departments drop, and what the demo says must come of it."""

from __future__ import annotations

import csv
from random import Random
from typing import TYPE_CHECKING

import pytest

from bus.demo.city import valid_divisions
from bus.demo.enterprises import Enterprises
from bus.demo.releases import LEVELS, RELEASES, Difference, Releases, difference, rows
from bus.pipeline.mapping.check_digits import is_credit_code

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("provinces", Difference(0, 0, 0)),
        ("cities", Difference(0, 0, 0)),
        ("areas", Difference(53, 8, 70)),
        ("streets", Difference(2681, 712, 4434)),
    ],
)
def test_the_two_releases_differ_as_their_readme_says(level: str, expected: Difference) -> None:
    assert difference(*(rows(level, release) for release in RELEASES)) == expected


def test_a_release_lands_whole_and_is_the_state(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    releases.drop()

    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(f"{level}-2019-10-31.csv" for level in LEVELS)
    assert len(releases.state("areas")) == 2995


def lines(file: Path) -> list[list[str]]:
    return list(csv.reader(file.read_text(encoding="gb18030").splitlines()))


def test_a_dump_of_enterprises_is_in_gb18030_and_what_is_good_of_it_is_the_state(tmp_path: Path) -> None:
    enterprises = Enterprises(tmp_path, Random(1), 300, valid_divisions())
    enterprises.drop()

    dumped = {row[0] for row in lines(tmp_path / "企业登记_0001.csv")[1:]}
    assert len(dumped) == 300
    assert enterprises.state.keys() == {code for code in dumped if is_credit_code(code)}


def test_a_dump_with_a_row_that_cannot_be_read_deletes_nothing(tmp_path: Path) -> None:
    enterprises = Enterprises(tmp_path, Random(1), 300, valid_divisions())
    enterprises.drop()
    before = set(enterprises.state)
    enterprises.work()
    enterprises.drop(ragged=True)
    assert before <= enterprises.state.keys()
    assert min(map(len, lines(tmp_path / "企业登记_0002.csv"))) == 7

    enterprises.drop()
    assert not before <= enterprises.state.keys()


def test_a_dump_with_a_code_twice_changes_nothing(tmp_path: Path) -> None:
    enterprises = Enterprises(tmp_path, Random(1), 50, valid_divisions())
    enterprises.drop()
    before = dict(enterprises.state)
    enterprises.work()
    enterprises.drop(doubled=True)

    codes = [row[0] for row in lines(tmp_path / "企业登记_0002.csv")]
    assert len(codes) == len(set(codes)) + 1
    assert (enterprises.state, enterprises.refused) == (before, 1)
