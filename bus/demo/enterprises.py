"""Market Regulation's register of enterprises, which drops full dumps in GB 18030; and what is true of them.

No real enterprise is meant. Check character: GB 32100-2015. What must arrive is worked out here a second time, plainly;
no code of the data path is used.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
import unicodedata
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from bus.demo.people import DIVISIONS

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from pathlib import Path
    from random import Random

    from bus.demo.proof import State

    Row = dict[str, str]

COLUMNS: Final = ("统一社会信用代码", "企业名称", "法定代表人", "注册资本", "成立日期", "登记状态", "行政区划", "住所")
KEY: Final = COLUMNS[0]
STATUSES: Final = {"存续": "1", "吊销": "2", "注销": "3", "迁出": "4"}

_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_TRADES: Final = ("丝绸", "精密机械", "园林", "电子", "餐饮", "物流", "生物科技", "文化传播", "建筑工程", "软件")
_NAMES: Final = ("拙政", "沧浪", "枫桥", "平江", "金鸡湖", "虎丘", "石湖", "寒山", "山塘", "盘门")
_PEOPLE: Final = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗"
_FULL_WIDTH: Final = str.maketrans("0123456789.,", "０１２３４５６７８９．，")
_DATE: Final = re.compile(r"(\d{4})(?:(\d{2})(\d{2})|-(\d{2})-(\d{2})|年(\d{1,2})月(\d{1,2})日)", re.ASCII)


def check_character(first17: str) -> str:
    """The last character of a unified social credit code."""
    total = sum(_ALPHABET.index(character) * 3**place for place, character in enumerate(first17))
    return _ALPHABET[-total % 31]


class Enterprises:
    """The register; each dump is a bit different from the last.

    Args:
        folder: where dumps land.
        random: seeded.
        count: enterprises at the start.
        divisions: the valid division codes.

    Attributes:
        state: what every subscriber must have of it, before filters and masks: of each enterprise in the newest dump
            that was not refused, the last version that was good.
        dumps: how many were dropped.
        refused: how many of them held a code twice.
    """

    def __init__(self, folder: Path, random: Random, count: int, divisions: AbstractSet[str]) -> None:
        self.state: State = {}
        self.dumps = 0
        self.refused = 0
        self._folder = folder
        self._random = random
        self._divisions = divisions
        self._rows: dict[str, Row] = {}
        self._number = 0
        folder.mkdir(parents=True, exist_ok=True)
        for _ in range(count):
            self._add()

    def work(self) -> None:
        """Some enterprises come, change and go, as between one dump and the next."""
        keys = list(self._rows)
        for _ in range(max(1, len(keys) // 50)):
            self._change(self._rows[self._random.choice(keys)])
        for key in self._random.sample(keys, max(1, len(keys) // 200)):
            del self._rows[key]
        for _ in range(max(1, len(keys) // 100)):
            self._add()

    def drop(self, *, doubled: bool = False, ragged: bool = False) -> None:
        """Drop a full dump. It gets its name when it is whole.

        Args:
            doubled: one enterprise stands in it twice, so that it must be refused whole.
            ragged: one row lacks a column. Nothing of such a dump is deleted: what is missing may be that row.
        """
        self.dumps += 1
        lines = [list(row.values()) for row in self._rows.values()]
        if doubled:
            lines.append(lines[0])
            self.refused += 1
        else:
            cut = self._random.randrange(len(lines)) if ragged else None
            self._take(without=None if cut is None else lines[cut][0])
            if cut is not None:
                lines[cut].pop()
        text = io.StringIO()
        csv.writer(text, lineterminator="\r\n").writerows([COLUMNS, *lines])
        file = self._folder / f"企业登记_{self.dumps:04d}.csv"
        part = file.with_suffix(".part")
        part.write_bytes(text.getvalue().encode("gb18030"))
        part.rename(file)

    def _take(self, without: str | None) -> None:
        """The dump is good, but for a row that cannot be read."""
        if without is None:
            for key in self.state.keys() - self._rows.keys():
                del self.state[key]
        for key, row in self._rows.items():
            record = None if key == without else good_record(row, self._divisions)
            if record is not None:
                self.state[key] = record

    def _add(self) -> None:
        self._number += 1
        division = self._random.choice(list(DIVISIONS))
        first17 = f"91{division}MA{_base31(self._number):0>7}"
        code = first17 + check_character(first17)
        if self._random.random() < 0.01:  # somebody mistyped it
            code = first17 + _ALPHABET[(_ALPHABET.index(code[-1]) + 1) % 31]
        name = f"苏州{self._random.choice(_NAMES)}{self._number}{self._random.choice(_TRADES)}有限公司"
        born = dt.date(1995, 1, 1) + dt.timedelta(days=self._random.randrange(11_000))
        form = self._random.choice(("%Y%m%d", "%Y-%m-%d", "%Y年%m月%d日"))
        address = f"江苏省苏州市{DIVISIONS[division]}人民路{self._random.randrange(1, 2000)}号"
        texts = (code, name, self._person(), self._capital(), born.strftime(form), "存续", division, address)
        self._rows[code] = dict(zip(COLUMNS, texts, strict=True))

    def _change(self, row: Row) -> None:
        dice = self._random.random()
        if dice < 0.4:
            row["法定代表人"] = self._person()
        elif dice < 0.6:
            row["注册资本"] = self._capital()
        elif dice < 0.7:
            row["登记状态"] = self._random.choice(list(STATUSES))
        elif dice < 0.9:
            row["行政区划"] = self._random.choice(list(DIVISIONS))  # it moved
        elif dice < 0.95:
            row["登记状态"] = "正常"  # no such status
        else:
            row["法定代表人"] = ""

    def _person(self) -> str:
        return self._random.choice(_PEOPLE) + self._random.choice(_PEOPLE)

    def _capital(self) -> str:
        amount = f"{self._random.randrange(10, 100_000):,}.{self._random.randrange(100):02d}"
        return amount.translate(_FULL_WIDTH) if self._random.random() < 0.1 else amount


def good_record(row: Row, divisions: AbstractSet[str]) -> dict[str, Any] | None:
    """The enterprise as subscribers may be shown it; None if a must-rule refuses the row."""
    code, clean = row[KEY], {column: unicodedata.normalize("NFKC", text).strip() for column, text in row.items()}
    born, status, division = _date(clean["成立日期"]), STATUSES.get(clean["登记状态"]), clean["行政区划"]
    good = (
        code[-1] == check_character(code[:17])
        and clean["法定代表人"]
        and born is not None
        and status is not None
        and division in divisions
    )
    if not good:
        return None
    capital = clean["注册资本"].replace(",", "")
    return {
        "credit_code": code,
        "name": clean["企业名称"],
        "legal_representative": clean["法定代表人"],
        "registered_capital": Decimal(capital).quantize(Decimal("0.01")) if capital else None,
        "established": born,
        "status": status,
        "division_code": division,
        "address": clean["住所"] or None,
    }


def _date(text: str) -> dt.date | None:
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    month, day = next((found[m], found[d]) for m, d in ((2, 3), (4, 5), (6, 7)) if found[m])
    return dt.date(int(found[1]), int(month), int(day))


def _base31(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 31)
        digits = _ALPHABET[rest] + digits
    return digits
