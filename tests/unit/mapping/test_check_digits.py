from __future__ import annotations

import datetime as dt

import pytest

from bus.pipeline.mapping import check_digits


@pytest.mark.parametrize("number", ["11010519491231002X", "440524188001010014"])
def test_the_standards_own_examples_are_valid(number: str) -> None:
    assert check_digits.is_id_number(number)
    assert check_digits.id_check_digit(number[:17]) == number[17]


@pytest.mark.parametrize(
    "number",
    [
        "110105194912310021",
        "11010519491231002x",
        "11010519490231002X",
        "1101051949123100",
        "11010519491231002X ",
        "１１０１０５１９４９１２３１００２Ｘ",
        "X10105194912310020",
        "1101051949123100X2",
        "110105-9491231002X",
        "",
    ],
)
def test_what_is_no_id_number(number: str) -> None:
    assert not check_digits.is_id_number(number)


def test_the_birth_date_is_inside() -> None:
    assert check_digits.birth_date("11010519491231002X") == dt.date(1949, 12, 31)


@pytest.mark.parametrize("code", ["91350100M000100Y43", "91110000600037341L"])
def test_credit_codes_with_letters_and_digits_are_valid(code: str) -> None:
    assert check_digits.is_credit_code(code)
    assert check_digits.credit_check_digit(code[:17]) == code[17]


@pytest.mark.parametrize(
    "code",
    ["91350100M000100Y44", "91350100m000100Y43", "9135010IM000100Y43", "91350A00M000100Y43", "91350100M000100Y4", ""],
)
def test_what_is_no_credit_code(code: str) -> None:
    assert not check_digits.is_credit_code(code)
