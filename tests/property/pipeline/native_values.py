"""Avro types, and encoded values of them as sources write them: mostly in order, now and then what a reader refuses.

Values are bytes from the start, so that a text need not be UTF-8, nor an int fit its 32 bits.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from bus.pipeline import native
from bus.pipeline.mapping.check_digits import CREDIT_ALPHABET, credit_check_digit, id_check_digit

if TYPE_CHECKING:
    from collections.abc import Callable

    Encoded = st.SearchStrategy[bytes]

T = TypeVar("T")
needs_native = pytest.mark.skipif(not native.is_used(), reason="the native interpreter is not compiled, or left out")


def by_reference(make: Callable[[], Any]) -> Any:
    """What is made without the compiled code."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in native.BY_REFERENCE.items():
            patched.setenv(name, value)
        return make()


def cases(count: int) -> settings:
    """So many; schemas are compiled in each, which takes its time."""
    return settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck))


SYMBOLS: Final = ("A", "B", "x9", "C_")
BIRTHS: Final = (dt.date(1990, 3, 7), dt.date(2000, 2, 29), dt.date(1949, 10, 1))
FIRST_DAY, LAST_DAY = -719_162, 2_932_896
DAY: Final = 86_400_000_000
_MOMENTS: Final = (DAY, FIRST_DAY * DAY, (LAST_DAY + 1) * DAY)
_EDGES: Final = (
    *(0, 4, 2**31, -(2**31), 2**63 - 2, 1 - 2**63, FIRST_DAY, LAST_DAY),
    *_MOMENTS,
    *(micros // 1000 for micros in _MOMENTS),
)
"""Numbers at which a type ends."""
SPACES: Final = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2003\u200a\u2028\u2029\u202f\u205f\u3000"
DIRT: Final = (
    SPACES + "０９ＡＺａｚ．－／（）～"  # full-width ASCII
    "\u0301\u0308\u3099\u309a\u0338\u20dd"  # combining characters
    "ㄱ각\u1100\u1161\u11a8ﾡｶﾞ"  # hangul, half-width kana
    "·•・。、「」【】《》‘’“”—…￥＄"
    "㐀䶿一龥鿿\uf900\ufa0e\ufa30々〇㎡①㈱Ⅻ"  # ideographs, some of them for compatibility
    "\x00\x7f\u200b\ufeff\uffff�ßſİıΣςﬁǆ𠀀🀄𝟘丽"
)


def number(value: int) -> bytes:
    """A number in zig-zag coding, of any size."""
    left = value << 1 if value >= 0 else ~(value << 1)
    made = bytearray()
    while left > 0x7F:
        made.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*made, left])


def blob(content: bytes) -> bytes:
    """Bytes, or a text, behind their length."""
    return number(len(content)) + content


def id_number(birth: dt.date, sequence: int) -> str:
    """A citizen id number that is right."""
    first = f"320508{birth:%Y%m%d}{sequence:03d}"
    return first + id_check_digit(first)


def _credit_code(tail: list[str]) -> str:
    first = "91320508" + "".join(tail)
    return first + credit_check_digit(first)


def _full_width(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


@st.composite
def mostly(draw: st.DrawFn, usual: st.SearchStrategy[T], rare: st.SearchStrategy[T], odds: int = 60) -> T:
    """The usual, but for one time in so many; not at an end of the range, where hypothesis likes to be."""
    return draw(rare if draw(st.integers(0, odds)) == odds // 2 + 1 else usual)


_dates_of_birth = st.sampled_from(BIRTHS)
id_numbers = st.builds(id_number, _dates_of_birth, st.integers(0, 999))
credit_codes = st.lists(st.sampled_from(CREDIT_ALPHABET), min_size=9, max_size=9).map(_credit_code)
_date_texts = st.builds(
    lambda date, form: date.strftime(form), _dates_of_birth, st.sampled_from(["%Y%m%d", "%Y-%m-%d", "%Y/%-m/%-d"])
)
_moments = st.one_of(
    st.sampled_from(["2024-02-29 08:30:00", "2024-02-29T08:30:00Z", "20240229083000", "2023-02-29 00:00:00"]),
    st.builds(
        lambda date, time, more, offset: date + time + more + offset,
        st.sampled_from(["2024-02-29", "1969-12-31", "0999-01-01", "9001-12-31", "2024-13-01", "2024-2-09"]),
        st.sampled_from(["T23:59:59", " 00:00:00", " 24:00:00", "T12:60:00", "t08:30:00", " 08:30"]),
        st.sampled_from(["", ".5", ".123", ".123456", ".000400", ".1234567", ",123", "."]),
        st.sampled_from(["", "Z", "z", "+08:00", "-00:30", "+24:00", "+0800", "+08:00:30", " +08:00"]),
    ),
    st.sampled_from(
        ["2024年2月29日 8:30", "1/12/1969 23:59:59.25", "01/1/0999 00:00:00.1234567", "2024年02月9日 08:60"]
    ),
)
_numbers = st.one_of(
    st.sampled_from(["0", "-7", "+12", "3.50", "1,234.5", "99999999999", "1e3", "００７", ".5", "1" * 45]),
    st.sampled_from(["1.234,5", "-0", "00", "0.00", "-0.05", "+-1", "1-", "1.", "1..2", "1,2,3", "2147483648", "1_0"]),
    st.integers(-(10**19), 10**19).map(str),
    st.decimals(-(10**9), 10**9, places=2).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda value: f"{value:.20f}"),
)
_names = st.sampled_from(["王伟", "阿依古丽·买买提", "欧阳　明", "Smith", "男", "女", "1", "2", "A", "x9", "ab-12", ""])
tidy_texts = st.one_of(_names, id_numbers, credit_codes, _date_texts, _moments, _numbers)
texts = st.one_of(
    tidy_texts,
    tidy_texts,
    tidy_texts.map(_full_width),
    st.builds(lambda a, text, b: a + text + b, st.sampled_from(DIRT), tidy_texts, st.sampled_from(DIRT)),
    st.text(st.sampled_from(DIRT + "aAzZ09-王伟"), max_size=12),
    st.text(max_size=8),
    st.integers(0, 300).map(lambda size: "字" * size),
)
_NO_TEXTS: Final = (b"\xed\xa0\x80", b"\xc0\x80", b"a\xe0\x80\x80", b"\xf4\x90\x80\x80", b"1234567\xff")
_no_texts = st.sampled_from(_NO_TEXTS)
encoded_texts = mostly(
    texts.map(lambda text: blob(text.encode())), st.one_of(_no_texts, st.binary(max_size=6)).map(blob)
)


def _ranged(least: int, most: int) -> Encoded:
    """Numbers within bounds, at them, and rarely beyond."""
    inside = st.one_of(st.integers(least, most), st.sampled_from([least, most]))
    return mostly(inside, st.sampled_from([least - 1, most + 1])).map(number)


def _of(declared: str, logical: str, **more: Any) -> dict[str, Any]:
    return {"type": declared, "logicalType": logical, **more}


_UUID: Final = "123e4567-e89b-12d3-a456-42661417400"
_ODD_UUIDS: Final = (
    *(_UUID + end for end in "gG/:@`０"),
    *(f"{{{_UUID}0}}", f"urn:uuid:{_UUID}0", _UUID.replace("-", "") + "0", "", _UUID.replace("-", "0") + "0"),
)
_uuids = mostly(st.sampled_from("0fFaA9").map(lambda end: _UUID + end), st.sampled_from(_ODD_UUIDS), 10).map(
    lambda text: blob(text.encode())
)
_stamps = _ranged(FIRST_DAY * DAY, (LAST_DAY + 1) * DAY - 1)
_stamps_millis = _ranged(FIRST_DAY * DAY // 1000, (LAST_DAY + 1) * DAY // 1000 - 1)
_decimals = st.one_of(st.binary(max_size=3), st.binary(max_size=5), st.binary(max_size=70)).map(blob)
_births = _dates_of_birth.map(lambda date: number((date - dt.date(1970, 1, 1)).days))
_floats = st.one_of(st.binary(min_size=4, max_size=4), st.sampled_from([b"\0\0\xa0\x7f", b"\1\0\xc0\xff"]))
_doubles = st.one_of(st.binary(min_size=8, max_size=8), st.just(b"\1\0\0\0\0\0\xf0\x7f"))
_booleans = mostly(st.sampled_from([b"\0", b"\1"]), st.sampled_from([b"\2", b"\xff"]))
_indexes = mostly(st.integers(0, 3), st.sampled_from([-1, 4, 2**40])).map(number)

LEAVES: Final[dict[str, tuple[Any, Encoded]]] = {
    "string": ("string", encoded_texts),
    "int": ("int", _ranged(-(2**31), 2**31 - 1)),
    "long": ("long", st.one_of(_ranged(-(2**63), 2**63 - 1), st.integers(-200, 20_000).map(number))),
    "float": ("float", _floats),
    "double": ("double", _doubles),
    "boolean": ("boolean", _booleans),
    "bytes": ("bytes", st.binary(max_size=90).map(blob)),
    "enum": ({"type": "enum", "symbols": list(SYMBOLS)}, _indexes),
    "fixed": ({"type": "fixed", "size": 3}, st.binary(min_size=3, max_size=3)),
    "date": (_of("int", "date"), st.one_of(_births, _ranged(FIRST_DAY, LAST_DAY))),
    "time-millis": (_of("int", "time-millis"), _ranged(0, DAY // 1000 - 1)),
    "time-micros": (_of("long", "time-micros"), _ranged(0, DAY - 1)),
    "timestamp-millis": (_of("long", "timestamp-millis"), _stamps_millis),
    "timestamp-micros": (_of("long", "timestamp-micros"), _stamps),
    "local-timestamp-millis": (_of("long", "local-timestamp-millis"), _stamps_millis),
    "local-timestamp-micros": (_of("long", "local-timestamp-micros"), _stamps),
    "uuid": (_of("string", "uuid"), _uuids),
    "decimal": (_of("bytes", "decimal", precision=9, scale=2), _decimals),
    "fixed-decimal": (_of("fixed", "decimal", precision=5, scale=2, size=4), st.binary(min_size=4, max_size=4)),
}
"""Name → type, and its encoded values. Named types get their names where they are used."""
ODD: Final = (
    *(number(edge + more) for edge in _EDGES for more in (-1, 0, 1)),
    *(blob(text.encode()) for text in _ODD_UUIDS),
    *(blob(content) for content in _NO_TEXTS),
    *(bytes([byte]) for byte in range(256)),
)
"""Values that some types may not have."""


def named(declared: Any, name: str) -> Any:
    """A leaf's type, with a name if it needs one."""
    if isinstance(declared, dict) and declared["type"] in ("enum", "fixed"):
        return {**declared, "name": name}
    return declared


def optional(declared: Any, encoded: Encoded, null_at: int) -> tuple[Any, Encoded]:
    """The union of null, which is its branch `null_at`, and a type."""
    union = [declared]
    union.insert(null_at, "null")
    nothing, some = bytes([2 * null_at]), bytes([2 - 2 * null_at])
    values = encoded.map(lambda value: some + value)
    return union, mostly(mostly(values, st.just(nothing), 4), st.sampled_from([b"\4", b"\1", b"\x80\0"]), 60)


def _blocks(item: Encoded) -> Encoded:
    """Items of an array or a map in one or several blocks, with or without their size in bytes (Avro 1.12)."""

    def block(items: list[bytes], sized: bool) -> bytes:
        if not items:
            return b""
        body = b"".join(items)
        return number(-len(items)) + number(len(body)) + body if sized else number(len(items)) + body

    some = st.builds(block, st.lists(item, max_size=3), st.sampled_from([False] * 5 + [True]))
    return st.lists(some, max_size=2).map(lambda blocks: b"".join([*blocks, b"\0"]))


@st.composite
def containers(draw: st.DrawFn, name: str) -> tuple[Any, Encoded]:
    """An array, a map or a record of something, or an array or a map of records, to be read over or carried along."""
    kind = draw(st.sampled_from(["array", "map", "record", "array of records", "map of records"]))
    parts = draw(st.lists(st.sampled_from(sorted(LEAVES)), min_size=1, max_size=3))
    made = [(named(LEAVES[part][0], f"{name}_{place}"), LEAVES[part][1]) for place, part in enumerate(parts)]
    if draw(st.booleans()):
        made[0] = optional(*made[0], draw(st.integers(0, 1)))
    declared, encoded = made[0]
    if "record" in kind:
        fields = [{"name": f"r{place}", "type": each} for place, (each, _) in enumerate(made)]
        declared = {"type": "record", "name": name, "fields": fields}
        encoded = st.tuples(*(each for _, each in made)).map(b"".join)
    if kind == "record":
        return declared, encoded
    if kind.startswith("array"):
        return {"type": "array", "items": declared}, _blocks(encoded)
    return {"type": "map", "values": declared}, _blocks(st.tuples(encoded_texts, encoded).map(b"".join))


_NUMBERS: Final = (
    b"\x80\x00", b"\xff\xff\xff\xff\x0f", b"\xfe\xff\xff\xff\x0f", b"\xff" * 9 + b"\x01", b"\xfe" + b"\xff" * 8 + b"\1",
    b"\x80" * 9 + b"\x00", b"\x80" * 9 + b"\x02", b"\xff" * 9 + b"\x7f", b"\xff" * 11, b"\x80" * 10 + b"\x00", b"\x01",
)  # fmt: skip


@st.composite
def damages(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """Something that happens to bytes."""
    share = draw(st.floats(0, 1, exclude_max=True))
    some = draw(st.binary(min_size=1, max_size=3) | st.sampled_from(_NUMBERS))
    kind = draw(st.sampled_from(["flip", "insert", "delete", "replace", "truncate", "append", "overlong", "none"]))
    bit = 1 << draw(st.integers(0, 7))

    def damaged(value: bytes) -> bytes:
        at = int(share * len(value))
        before, rest = value[:at], value[at:]
        if kind == "flip":
            return before + bytes([rest[0] ^ bit]) + rest[1:]
        if kind == "overlong":  # the same number in one byte more, if a number ends here
            return before + bytes([rest[0] | 0x80, 0]) + rest[1:] if rest[0] < 0x80 else value
        made = {"insert": before + some + rest, "delete": before + rest[len(some) :], "truncate": before}
        more = {"replace": before + some + rest[len(some) :], "append": value + some, "none": value}
        return (made | more)[kind]

    return damaged
