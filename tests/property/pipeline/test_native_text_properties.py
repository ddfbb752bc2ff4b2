"""Texts, days, check digits, partitions and patterns: each on its own, by a program that has no reference to call."""

from __future__ import annotations

import datetime as dt
import re
from itertools import chain, product
from typing import TYPE_CHECKING, Any

import pytest
from fastavro import parse_schema
from hypothesis import given
from hypothesis import strategies as st

from bus.catalogue.mapping import CrossRule
from bus.catalogue.view import Mask
from bus.kafka.native import Packing, Records
from bus.kafka.partitions import partition_of
from bus.pipeline import native
from bus.pipeline.codec import decoder, encoder
from bus.pipeline.mapping.check_digits import (
    CREDIT_ALPHABET,
    credit_check_digit,
    id_check_digit,
    is_credit_code,
    is_id_number,
)
from bus.pipeline.mapping.cross_rule import compile_cross_rule
from bus.pipeline.mapping.mask import compile_mask
from bus.pipeline.mapping.text import compile_steps
from bus.pipeline.native.nodes import Node
from bus.pipeline.native.pattern import simple_ways
from bus.pipeline.native.program import Instruction, Program
from bus.pipeline.record import one_by_one
from bus.pipeline.reject import RejectedError
from bus.pipeline.writer_schema import BadRecordError
from bus.wire import frame
from tests.property.pipeline.native_mappings import Raw
from tests.property.pipeline.native_rules import PATTERNS
from tests.property.pipeline.native_values import (
    blob,
    cases,
    credit_codes,
    id_number,
    id_numbers,
    needs_native,
    number,
    texts,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = needs_native

HEAD, FRAME = frame(1), frame(9)
ORDERS = (
    ("nfkc",), ("trim",), ("upper",), ("lower",), ("nfkc", "trim"), ("trim", "nfkc"), ("nfkc", "trim", "upper"),
    ("lower", "trim", "nfkc"), ("upper", "nfkc"),
)  # fmt: skip
DAYS = range(dt.date(1, 1, 1).toordinal(), dt.date(9999, 12, 31).toordinal() + 1)
EPOCH = dt.date(1970, 1, 1)


def _texts_program(operation: str = "clean", **instruction: Any) -> Callable[[str], str | None]:
    """What becomes of a text by one instruction; None if the reference would be needed."""
    made = Instruction(operation, (0,), absent=blob(b""), call=lambda _: None, **instruction)
    convert = native.Interpreter(Program(HEAD, FRAME, Node("record", -1, (Node("text"),)), (made,))).convert

    def run(text: str) -> str | None:
        encoded = convert(b"", HEAD + blob(text.encode()))
        return None if encoded is None else _text(encoded)

    return run


def _text(encoded: bytes) -> str:
    body = encoded[len(FRAME) :]
    size = 1 if body[0] < 0x80 else 2
    content = body[size:]
    assert body == blob(content)
    return content.decode()


def _characters() -> Iterator[str]:
    """Every one of the basic plane, and of others those with compatibility forms and some thousands more."""
    codes = chain(range(0x10000), range(0x1D400, 0x1D800), range(0x1F100, 0x1F300), range(0x2F800, 0x2FA20))
    return (chr(code) for code in chain(codes, range(0x10000, 0x110000, 251)) if not 0xD800 <= code <= 0xDFFF)


@pytest.mark.parametrize("steps", ORDERS, ids="-".join)
def test_every_character_is_cleaned_as_the_reference_cleans_it(steps: tuple[str, ...]) -> None:
    run, clean = _texts_program(steps=steps), compile_steps(steps)
    assert clean is not None
    finished = 0
    for c in _characters():
        for text in (f"a{c}b", c, f"{c}王{c}", f"{c}\u0301", f"\u0301{c}", c + c):
            made = run(text)
            finished += made is not None
            assert made is None or made == clean(text), ascii(text)
    assert finished > 100_000, "ideographs and ASCII need no fallback"


@cases(300)
@given(texts, st.sampled_from(ORDERS), st.integers(0, 20), st.integers(0, 20))
def test_lengths_are_counted_in_characters_after_the_steps(
    text: str, steps: tuple[str, ...], shortest: int, longest: int
) -> None:
    clean = compile_steps(steps)
    assert clean is not None
    cleaned = clean(text)
    made = _texts_program(steps=steps, shortest=shortest, longest=longest)(text)
    assert made is None or (made == cleaned and (not cleaned or shortest <= len(cleaned) <= longest))


_EDGES = bytes.fromhex("00417f808f909fa0bfc0c1c2dfe0e1ecedeeeff0f1f3f4f5ff")


def test_what_is_utf8_is_what_python_takes_for_it() -> None:
    """Every four bytes of those at the edges of RFC 3629, alone, behind a whole word of ASCII and among ideographs."""
    row = Node("record", -1, (Node("text"),))
    convert = native.Interpreter(Program(HEAD, FRAME, row, (Instruction("copy", (0,)),))).convert
    for some in chain.from_iterable(product(_EDGES, repeat=size) for size in range(1, 5)):
        content = bytes(some)
        made = convert(b"", HEAD + blob(content))
        try:
            content.decode()
        except ValueError:
            assert made is None
        else:
            assert made == FRAME + blob(content)
        for around in (b"12345678" + content, "王".encode() + content + "王伟王".encode()):
            assert (convert(b"", HEAD + blob(around)) is None) == (made is None)


def test_numbers_are_read_as_the_reference_reads_them() -> None:
    """With too many bytes, with more than 64 bits, without an end."""
    row = Node("record", -1, (Node("number", -1, (), -(2**63), 2**63 - 1),))
    copied = Instruction("copy", (0,), least=-(2**63), most=2**63 - 1)
    convert = native.Interpreter(Program(HEAD, FRAME, row, (copied,))).convert
    schema = parse_schema({"type": "record", "name": "r", "fields": [{"name": "n", "type": "long"}]})
    read, write = decoder(schema), encoder(9, schema)
    for size, more, last in product(
        range(12), (0x80, 0x81, 0xFF, 0xD5), (b"", *(bytes([byte]) for byte in range(256)))
    ):
        value = HEAD + bytes([more]) * size + last
        try:
            expected = write(read(value))
        except BadRecordError:
            expected = None
        assert convert(b"", value) == expected


@pytest.mark.parametrize("fill", ["*", "＊", "\x00", "🀄"])
def test_a_mask_hides_what_the_reference_hides(fill: str) -> None:
    """Of every text of up to eight characters, whatever is kept at its ends."""
    characters = "a王é🀄1·一z"
    for start, end, length in product(range(6), range(6), (None, 1, 4)):
        mask = Mask.model_validate({"keep_start": start, "keep_end": end, "length": length, "with": fill})
        shown = {"keep_start": start, "keep_end": end, "fill": fill.encode(), "hidden": length or 0}
        run, hide = _texts_program("mask", **shown), compile_mask(mask)
        for first in range(9):
            for text in (characters[:first], characters[first:], "x" * first):
                assert run(text) == hide(text)


def _id_and_date() -> Callable[[bytes, bytes], bytes | None]:
    copied = (Instruction("copy", (0,)), Instruction("copy", (1,), least=-(2**63), most=2**63 - 1))
    row = Node("record", -1, (Node("text"), Node("number", -1, (), -(2**63), 2**63 - 1)))
    return native.Interpreter(Program(HEAD, FRAME, row, copied, birth_rule=(0, 1))).convert


def _days() -> Iterator[dt.date]:
    """Every 31st day of all years, and the first and the last of each month of some."""
    for ordinal in DAYS[::31]:
        yield dt.date.fromordinal(ordinal)
    for year in [*range(1, 9999, 37), *range(1896, 2110), 9999]:
        for month in range(1, 13):
            first = dt.date(year, month, 1)
            yield first
            yield dt.date.fromordinal(max(1, first.toordinal() - 1))


def test_the_day_inside_an_id_number_is_the_calendars() -> None:
    convert = _id_and_date()
    for day in _days():
        first = f"320508{day.year:04}{day:%m%d}001"
        text = blob((first + id_check_digit(first)).encode())
        days = (day - EPOCH).days
        assert convert(b"", HEAD + text + number(days)) == FRAME + text + number(days)
        assert convert(b"", HEAD + text + number(days + 1)) is None, "another day"
        assert convert(b"", HEAD + text + number(days - 1)) is None


def test_no_eight_digits_are_a_day_that_the_calendar_has_not() -> None:
    run = _texts_program(check="gb11643")
    for year in (0, 1, 4, 100, 400, 1900, 2000, 2023, 2024, 9999):
        for month in range(15):
            for day in range(34):
                first = f"320508{year:04}{month:02}{day:02}001"
                text = first + id_check_digit(first)
                assert (run(text) is not None) == is_id_number(text)


def _agrees(number: str, sex: str | None) -> bool:
    check = compile_cross_rule(CrossRule(rule="sex_agrees_with_id", id="id", sex="sex"))
    try:
        check({"id": number, "sex": sex})
    except RejectedError:
        return False
    return True


def test_a_sex_that_the_id_number_contradicts_is_given_up() -> None:
    copied = (Instruction("copy", (0,)), Instruction("copy", (1,), b"\2", b"\0", 0))
    row = Node("record", -1, (Node("text"), Node("text", 0)))
    convert = native.Interpreter(Program(HEAD, FRAME, row, copied, sex_rule=(0, 1))).convert
    for sequence, sex in product(range(100), ("0", "1", "2", "9", "", "男", "11", "21", None)):
        right = id_number(EPOCH, sequence)
        for text in (right, right[:17], right[:17] + "?", ""):
            body = blob(text.encode()) + (b"\0" if sex is None else b"\2" + blob(sex.encode()))
            assert convert(b"", HEAD + body) == (FRAME + body if _agrees(text, sex) else None)


_edits = st.tuples(st.integers(0, 17), st.sampled_from("0123456789ABCXxIZ１٣字\x00 "))


@cases(500)
@given(st.one_of(id_numbers, credit_codes, st.text("0123456789AX", max_size=19)), st.lists(_edits, max_size=2))
def test_check_digits_are_the_references(text: str, edits: list[tuple[int, str]]) -> None:
    for place, character in edits:
        text = text[:place] + character + text[place + 1 :]
    assert (_texts_program(check="gb11643")(text) is not None) == is_id_number(text)
    assert (_texts_program(check="gb32100")(text) is not None) == is_credit_code(text)


def test_only_one_check_character_is_right() -> None:
    runs = _texts_program(check="gb11643"), _texts_program(check="gb32100")
    for place in range(500):
        first = f"320508{1900 + place % 100}0{1 + place % 9}1{place % 10}{place:03d}"
        assert [c for c in "0123456789X" if runs[0](first + c) is not None] == [id_check_digit(first)]
        first = f"91320508MA{place:07d}"
        assert [c for c in CREDIT_ALPHABET if runs[1](first + c) is not None] == [credit_check_digit(first)]


@cases(500)
@given(st.text(max_size=40) | st.text(min_size=200, max_size=400), st.integers(1, 1000))
def test_partitions_are_the_references(key: str, partitions: int) -> None:
    target = native.Target(partitions, ("ce_type", b"x"), b"/m1")
    program = Program(HEAD, FRAME, Node("record", -1, (Node("text"),)), (Instruction("copy", (0,)),), key_slot=0)
    record = Raw(key.encode(), HEAD + blob(key.encode()), headers=[])
    packing = Packing("t", partitions)
    assert native.Interpreter(program, target).take(Records.of("r", 0, [record]), 0, 1, packing) == 1
    (made,) = one_by_one(packing.packed())
    assert (made.partition, made.key) == (partition_of(key.encode(), partitions), key.encode())


_classes = st.sampled_from(["[0-9]", "a", "[a-c]", "[A-Z0-9-]", "-", r"\.", "[ab]", "男", ".", r"\d", "[^a]"])
_repeats = st.sampled_from(["", "", "?", "{2}", "{0,3}", "{1,9}", "*", "+", "{1,4}?", "{0}"])
_ways = st.lists(st.tuples(_classes, _repeats).map("".join), max_size=6).map("".join)
_patterns = st.one_of(st.lists(_ways, min_size=1, max_size=3).map("|".join), st.sampled_from(PATTERNS))
_subjects = st.text("0129abcAZ-.男٣\n", max_size=14)


@cases(500)
@given(_patterns, st.data())
def test_simple_patterns_match_as_re_does(pattern: str, data: st.DataObject) -> None:
    ways = simple_ways(pattern)
    if ways is None:
        return
    run = _texts_program(pattern=ways)
    subjects = st.one_of(_subjects, st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True))
    for text in data.draw(st.lists(subjects, min_size=1, max_size=8)):
        assert (run(text) is not None) == (re.fullmatch(pattern, text) is not None), (pattern, text)
