"""Patterns that some text would keep busy for ever are refused; those that people write are not."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from bus.catalogue.pattern import LONGEST_TEXT, longest_text, pattern_fault

if TYPE_CHECKING:
    from tests.unit.catalogue.conftest import Bus, Folder

DATASET = "gongan/population.yaml"


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(a*)*",
        "((a+)b?)+",
        "(a|aa)+",
        "(a|b|ab)*c",
        "(a?){30}a{30}",
        "(a{1,30}){1,30}",
        r"(a)(b\1)*",
        "(a+){10}",
        "(?:(?:a+)?)*",
        "(?=(a+)+)b",
        "(a{0,5000}b){5}",
        "a*b*c*d*e*f",
        "(?>(a+)+)b",
        "(a?)++b",
    ],
)
def test_a_pattern_that_may_search_for_ever_is_refused(pattern: str) -> None:
    assert pattern_fault(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "1[3-9][0-9]{9}|0[0-9]{2,3}-?[0-9]{7,8}",
        "[0-9]{6}",
        "[A-Z]+-[0-9]+",
        r"\s*(.*)\s*",
        r"[^@]+@[^@]+\.[a-z]{2,}",
        "([0-9]{4}-){3}[0-9]{4}",
        r"\d{1,3}(\.\d{1,3}){3}",
        "(?:甲|乙|丙)+",
        "([a-z]+)?",
        "(?:[0-9]|X){18}",
        "苏[A-HJ-NP-Z][A-Z0-9]{5,6}",
        "(省|市|区县){1,5}",
    ],
)
def test_a_pattern_that_people_write_is_taken(pattern: str) -> None:
    assert not pattern_fault(pattern)


@pytest.mark.parametrize(("pattern", "character"), [(r"\s*(.*)\s*x", " "), ("a*a*a*b", "a"), ("a*a*a*a*b", "a")])
def test_texts_are_shorter_the_more_repeats_stand_side_by_side(pattern: str, character: str) -> None:
    longest = longest_text(pattern)
    started = time.monotonic()
    assert re.fullmatch(pattern, character * longest) is None
    assert longest <= LONGEST_TEXT
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+"])
def test_validate_names_the_field_the_line_and_the_way_out(bus: Bus, folder: Folder, pattern: str) -> None:
    folder.replace(DATASET, "'1[3-9][0-9]{9}|0[0-9]{2,3}-?[0-9]{7,8}'", f"'{pattern}'")
    ended = bus("validate", folder.path)
    assert ended.code == 1
    assert f"{folder.line(DATASET, pattern)}: error: field 'phone': the pattern has a" in ended.out
    assert "{1,20}" in ended.out


@pytest.mark.parametrize("pattern", ["(" * 5000 + ")" * 5000, "a{99999999999999999999}"])
def test_a_pattern_that_python_cannot_compile_is_a_finding(bus: Bus, folder: Folder, pattern: str) -> None:
    folder.replace(DATASET, "'1[3-9][0-9]{9}|0[0-9]{2,3}-?[0-9]{7,8}'", f"'{pattern}'")
    ended = bus("validate", folder.path)
    assert ended.code == 1
    assert "not a regular expression" in ended.out
