"""Synthetic people of Suzhou: valid citizen ids, real division codes, and dirt of every kind that the rules know.

No real person is meant. Check character: GB 11643-1999; divisions: GB/T 2260 as published for 2023.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from random import Random

Person = dict[str, Any]

DIVISIONS: Final = {
    "320505": "虎丘区",
    "320506": "吴中区",
    "320507": "相城区",
    "320508": "姑苏区",
    "320509": "吴江区",
    "320581": "常熟市",
    "320582": "张家港市",
    "320583": "昆山市",
    "320585": "太仓市",
}
FIELDS: Final = ("sfzh", "xm", "xb", "csrq", "mz", "hjdz", "jzdz", "lxdh", "xzqhdm", "bz")

_SURNAMES: Final = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗沈陆顾钱"
_GIVEN: Final = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华建文玉兰"
_ROADS: Final = ("人民路", "干将东路", "观前街", "十梓街", "解放北路", "学士街", "长江路", "太湖大道")
_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def check_character(first17: str) -> str:
    """The last character of a citizen id."""
    return "10X98765432"[sum(int(digit) * weight for digit, weight in zip(first17, _WEIGHTS, strict=True)) % 11]


class People:
    """Makes people, each number once.

    Args:
        random: seeded, so that a run can be repeated.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._taken: set[str] = set()

    def number(self, division: str, born: dt.date, sex: str) -> str:
        """A valid citizen id that nobody has yet; the sequence's last digit is odd for men."""
        while True:
            sequence = self._random.randrange(500) * 2 + (1 if sex == "1" else 0)
            first17 = f"{division}{born:%Y%m%d}{sequence:03d}"
            number = first17 + check_character(first17)
            if number not in self._taken:
                self._taken.add(number)
                return number
            born += dt.timedelta(days=1)

    def person(self) -> Person:
        """A clean row of the register."""
        random = self._random
        division = random.choice(list(DIVISIONS))
        born = dt.date(1940, 1, 1) + dt.timedelta(days=random.randrange(29_000))
        sex = random.choice("12")
        number = self.number(division, born, sex)
        born = dt.date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
        return {
            "sfzh": number,
            "xm": random.choice(_SURNAMES) + "".join(random.sample(_GIVEN, random.choice((1, 2)))),
            "xb": sex,
            "csrq": f"{born:%Y%m%d}",
            "mz": "01" if random.random() < 0.9 else f"{random.randrange(2, 57):02d}",
            "hjdz": self.address(division),
            "jzdz": self.address(division),
            "lxdh": self.phone() if random.random() < 0.9 else None,
            "xzqhdm": division,
            "bz": "备注" * 2_000 if random.random() < 0.01 else None,
        }

    def address(self, division: str) -> str:
        """An address in a division."""
        random = self._random
        place = f"江苏省苏州市{DIVISIONS[division]}{random.choice(_ROADS)}"
        return f"{place}{random.randrange(1, 999)}号{random.randrange(1, 30)}幢{random.randrange(101, 2500)}室"

    def phone(self) -> str:
        """A mobile number."""
        return f"13{self._random.randrange(10**9):09d}"

    def soil(self, person: Person) -> Person:
        """The same person written as legacy systems do: the rules can mend it."""
        number = person["sfzh"]
        year, month, day = number[6:10], number[10:12], number[12:14]
        return person | self._random.choice(
            (
                {"csrq": f"{year}-{month}-{day}"},
                {"csrq": f"{year}年{int(month)}月{int(day)}日"},
                {"csrq": f"{year}/{int(month)}/{int(day)}"},
                {"xb": "男" if int(number[16]) % 2 else "女"},
                {"xm": f"  {person['xm']}　"},
                {"lxdh": self.phone().translate({ord("0") + n: ord("０") + n for n in range(10)})},
                {"xzqhdm": f" {person['xzqhdm']} "},
            )
        )

    def spoil(self, person: Person) -> Person:
        """The same person with a mistake that a must-rule refuses."""
        number = person["sfzh"]
        wrong_day = "01" if number[12:14] != "01" else "02"
        return person | self._random.choice(
            (
                {"xm": None},
                {"csrq": "1999-02-30"},
                {"csrq": None},
                {"csrq": f"{number[6:12]}{wrong_day}"},
                {"xb": "X"},
                {"xb": "2" if int(number[16]) % 2 else "1"},
                {"mz": "99"},
                {"lxdh": "12345"},
                {"xzqhdm": "999999"},
                {"xzqhdm": None},
            )
        )

    def misnumber(self, person: Person) -> Person:
        """The same person under a number whose check character is wrong."""
        number = person["sfzh"]
        wrong = "0" if number[17] != "0" else "1"
        return person | {"sfzh": number[:17] + wrong}
