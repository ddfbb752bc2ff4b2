"""One wrong character, or two neighbours swapped: check digits exist to find these."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from bus.pipeline.mapping.check_digits import (
    CREDIT_ALPHABET,
    birth_date,
    credit_check_digit,
    id_check_digit,
    is_credit_code,
    is_id_number,
)

dates = st.dates(dt.date(1800, 1, 1), dt.date(2099, 12, 31))
first17 = st.builds(
    lambda area, date, sequence: f"{area:06d}{date:%Y%m%d}{sequence:03d}",
    st.integers(0, 999_999),
    dates,
    st.integers(0, 999),
)
id_numbers = first17.map(lambda text: text + id_check_digit(text))
credit_bodies = st.builds(
    lambda head, area, tail: f"{head}{area:06d}{tail}",
    st.text(CREDIT_ALPHABET, min_size=2, max_size=2),
    st.integers(0, 999_999),
    st.text(CREDIT_ALPHABET, min_size=9, max_size=9),
)
credit_codes = credit_bodies.map(lambda text: text + credit_check_digit(text))

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


@given(id_numbers)
def test_a_number_with_its_check_digit_is_valid_and_tells_its_date(number: str) -> None:
    assert is_id_number(number)
    assert birth_date(number) == dt.date(int(number[6:10]), int(number[10:12]), int(number[12:14]))


@given(first17)
def test_the_check_digit_is_that_of_the_standards_table(text: str) -> None:
    total = sum(int(digit) * weight for digit, weight in zip(text, WEIGHTS, strict=True))
    assert id_check_digit(text) == "10X98765432"[total % 11]


@given(id_numbers, st.integers(0, 17), st.sampled_from("0123456789X"))
def test_one_wrong_character_is_always_found(number: str, place: int, character: str) -> None:
    wrong = number[:place] + character + number[place + 1 :]
    assert is_id_number(wrong) is (wrong == number)


@given(id_numbers, st.integers(0, 16))
def test_two_swapped_neighbours_are_always_found(number: str, place: int) -> None:
    wrong = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    assert is_id_number(wrong) is (wrong == number)


@given(st.text(max_size=20))
def test_no_text_makes_the_checks_fail(text: str) -> None:
    assert is_id_number(text) in {True, False}
    assert is_credit_code(text) in {True, False}


@given(credit_codes, st.integers(0, 17), st.sampled_from(CREDIT_ALPHABET))
def test_one_wrong_character_of_a_credit_code_is_always_found(code: str, place: int, character: str) -> None:
    wrong = code[:place] + character + code[place + 1 :]
    assert is_credit_code(code)
    assert is_credit_code(wrong) is (wrong == code)
