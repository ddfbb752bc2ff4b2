"""Numbers and moments out of texts, and numbers as texts and decimals: the reference makes the same of each."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.pipeline import native
from bus.pipeline.codec import Decoders, encoder
from bus.pipeline.envelope import envelope_schema
from bus.pipeline.mapping.compiled import compile_mapping
from bus.pipeline.native.program import compile_mapping_program
from bus.pipeline.normalise import DatasetNormaliser, EntityOutput
from bus.pipeline.reject import Reject
from bus.wire import frame
from tests.property.pipeline.native_mappings import RAW, SHARED_ID, WRITER, Raw, entity_of, mapping_of, source_of
from tests.property.pipeline.native_values import blob, cases, needs_native, number, texts

if TYPE_CHECKING:
    from collections.abc import Callable

MICROS: Final = {"type": "long", "logicalType": "timestamp-micros"}
MILLIS: Final = {"type": "long", "logicalType": "timestamp-millis"}


def cents(precision: int, scale: int = 2) -> dict[str, Any]:
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}


DATE: Final = {"type": "int", "logicalType": "date"}

OF_TEXTS: Final[dict[str, tuple[Any, dict[str, Any]]]] = {
    "int": ("int", {"number": {"type": "integer"}, "steps": ["nfkc", "trim"]}),
    "long": ("long", {"number": {"type": "integer", "thousands": ","}}),
    "decimal": (cents(9), {"number": {"type": "decimal", "thousands": ","}, "steps": ["trim"]}),
    "decimal of commas": (cents(16), {"number": {"type": "decimal", "thousands": ".", "decimal": ","}}),
    "decimal below one": (cents(2), {"number": {"type": "decimal"}}),
    "decimal of a form": (
        cents(9),
        {"number": {"type": "decimal"}, "pattern": "[0-9]{1,3}[.][0-9]{2}", "max_length": 5},
    ),
    "double": ("double", {"number": {"type": "float", "thousands": "_"}}),
    "double of commas": ("double", {"number": {"type": "float", "decimal": ","}, "steps": ["nfkc"]}),
    "ISO 8601": (MICROS, {"timestamp": {}, "steps": ["nfkc", "trim"]}),
    "ISO 8601 in milliseconds": (MILLIS, {"timestamp": {"timezone": "-09:30"}}),
    "formats": (MICROS, {"timestamp": {"formats": ["YYYY-MM-DD hh:mm:ss", "YYYYMMDDhhmmss"], "timezone": "-03:30"}}),
    "other formats": (MILLIS, {"timestamp": {"formats": ["YYYY年M月D日 h:mm", "D/M/YYYY hh:mm:ss.f"]}}),
    "date": (DATE, {"date": ["YYYYMMDD", "YYYY-MM-DD", "M/D/YYYY"], "steps": ["nfkc", "trim"]}),
    "date of a moment": (DATE, {"date": ["YYYY年M月D日 h:mm", "YYYY-MM-DD hh:mm:ss"], "max_length": 19}),
    "date alone": (MICROS, {"timestamp": {"formats": ["YYYYMMDD", "M/D/YYYY"]}}),
}

OF_NUMBERS: Final[dict[str, tuple[Any, Any, dict[str, Any]]]] = {
    "int as a text": ("int", "string", {}),
    "long as a text": ("long", "string", {}),
    "long as a decimal": ("long", cents(9), {}),
    "local time": (MICROS | {"logicalType": "local-timestamp-micros"}, MICROS, {"timestamp": {"timezone": "+05:45"}}),
    "decimal as a wider one": (cents(9), cents(14, 4), {}),
    "decimal as a narrower one": (cents(9), cents(5, 2), {}),
    "decimal as one of fewer places": (cents(9), cents(9, 1), {}),
}

_plain_numbers = st.one_of(
    st.integers(-(10**12), 10**12).map(str),
    st.decimals(-(10**7), 10**7, places=2).map(str),
    st.decimals(-(10**6), 10**6, places=1).map("{:,}".format),
    st.floats(-1e12, 1e12).map(lambda value: f"{value:.6f}".replace(".", ",")),
    st.sampled_from(
        ["0", "00", "-0", "+0.5", "0,00", "2147483647", "2147483648", "-2147483649", "9223372036854775808"]
    ),
)
_dates = st.dates().map(str)
_clocks = st.times().map(lambda time: time.isoformat("auto"))
_plain_moments = st.one_of(
    st.builds(
        "{}{}{}{}".format, _dates, st.sampled_from("T "), _clocks, st.sampled_from(["", "Z", "+08:00", "-00:30"])
    ),
    st.datetimes().map("{:%Y-%m-%d %H:%M:%S}".format),
    st.datetimes().map("{:%Y%m%d%H%M%S}".format),
    st.datetimes().map("{0.year:04}年{0.month}月{0.day}日 {0.hour}:{0.minute:02}".format),
    st.datetimes().map("{:%d/%m/%Y %H:%M:%S.%f}".format),
    st.datetimes().map("{0.month}/{0.day}/{0:%Y}".format),
    st.dates().map("{:%Y%m%d}".format),
    st.sampled_from(["2024-02-30", "20240230", "2024-02-29 24:00:00", "2024-02-29T08:30:00+24:00", "1/1/1969"]),
)


@st.composite
def _spoilt(draw: st.DrawFn, usual: st.SearchStrategy[str]) -> str:
    """With something else in a place of it."""
    text = draw(usual)
    place, taken = draw(st.integers(0, len(text))), draw(st.integers(0, 2))
    other: str = draw(st.sampled_from([*"0159-+., :TZ/_\t０：９年", ""]))
    return text[:place] + other + text[place + taken :]


_some_texts = st.one_of(
    *(_plain_numbers, _plain_moments, _spoilt(_plain_numbers), _spoilt(_plain_moments), texts),
    st.text("0123456789-+., :TZ", max_size=30),
)


@dataclass(frozen=True)
class Ways:
    """A field of a mapping, made in the two ways: from its encoding to what becomes of the record."""

    natively: Callable[[bytes], bytes | Reject | None]
    by_reference: Callable[[bytes], bytes | Reject | None]

    def agree(self, field: bytes) -> bool:
        """Hold them against each other; whether the compiled code did it."""
        made = self.natively(field)
        assert made is None or made == self.by_reference(field)
        return isinstance(made, bytes)


@cache
def _ways(name: str) -> Ways:
    source, target, rule = OF_NUMBERS[name] if name in OF_NUMBERS else ("string", *OF_TEXTS[name])
    schema = envelope_schema("d.s", {"type": "record", "name": "t", "fields": _fields(source)})
    entity, dataset = entity_of(_fields(target), ["k"]), source_of(["k"])
    mapping = mapping_of({"k": {"from": "k"}, "f": {"from": "f"} | rule}, [])
    program = compile_mapping_program(mapping, entity, dataset, {}, SHARED_ID, WRITER, schema)
    assert [each.operation for each in program.instructions if each.operation in {"call", "copy"}] == []
    decoders = Decoders()
    decoders.add(WRITER, schema)
    output = EntityOutput(
        *("shared.c.e", 7, b"c.e.v1", 3, ("k",)),
        compile=lambda row: compile_mapping(mapping, entity, dataset, {}, row),
        encode=encoder(SHARED_ID, entity.spec.avro),
        program=lambda *_: program,
    )
    interpreter, normaliser = native.Interpreter(program), DatasetNormaliser("d.s", output, decoders)

    def natively(field: bytes) -> bytes | Reject | None:
        return interpreter.convert(b"k", _change(field)) or interpreter.broken

    def by_reference(field: bytes) -> bytes | Reject | None:
        made = normaliser(Raw(b"k", _change(field), topic=RAW))
        return made if made is None or isinstance(made, Reject) else made.value

    return Ways(natively, by_reference)


def _fields(declared: Any) -> list[dict[str, Any]]:
    return [{"name": "k", "type": "string"}, {"name": "f", "type": ["null", declared]}]


def _change(field: bytes) -> bytes:
    row = blob(b"k") + b"\2" + field
    return frame(WRITER) + b"".join([number(1), b"\0", b"\2" + row, blob(b"1"), b"\0", b"\0", number(0)])


@needs_native
@cases(10_000)
@given(st.sampled_from(sorted(OF_TEXTS)), _some_texts)
def test_what_is_read_out_of_a_text_is_what_the_reference_reads(rule: str, text: str) -> None:
    _ways(rule).agree(blob(text.encode()))


@needs_native
@pytest.mark.parametrize(
    ("rule", "plain"),
    [
        ("int", ["0", "-7", "+12", "２１", " 2147483647 "]),
        ("long", ["1,234,567", "-999,999,999,999,999,999", "1234"]),
        ("decimal", ["1.5", "-1,234.50", "0.00", "9999999"]),
        ("decimal of commas", ["1.234,5", "-0,05"]),
        ("decimal of a form", ["12.34"]),
        ("double", ["1_000.25", "-0", "12345678901234567890.5"]),
        ("double of commas", ["３,5"]),
        ("ISO 8601", ["2024-02-29T08:30:00Z", " 1969-12-31 23:59:59.123456-03:30", "2024-02-29 08:30:00.5" + "00"]),
        ("ISO 8601 in milliseconds", ["2024-02-29T08:30:00.250"]),
        ("formats", ["2024-02-29 08:30:00", "20240229083000"]),
        ("other formats", ["2024年2月9日 8:30", "2024年02月29日 08:30", "9/2/2024 08:30:00.25"]),
        ("date alone", ["20240229", "2/29/2024"]),
    ],
)
def test_what_is_plain_is_read_without_the_reference(rule: str, plain: list[str]) -> None:
    assert [text for text in plain if not _ways(rule).agree(blob(text.encode()))] == []


_octets = st.one_of(
    st.integers(-(10**10), 10**10), st.sampled_from([0, -1, 127, 128, -128, -129, 2**63 - 1, -(2**63)])
).map(lambda value: value.to_bytes(9, "big", signed=True))


@needs_native
@cases(5_000)
@given(st.sampled_from(sorted(OF_NUMBERS)), st.data())
def test_what_is_made_of_a_number_is_what_the_reference_makes(name: str, data: st.DataObject) -> None:
    if name.startswith("decimal"):
        octets = data.draw(_octets)
        encoded = blob(octets[data.draw(st.integers(0, 9)) :])
    else:
        bits = data.draw(st.sampled_from([31, 50, 63] if not name.startswith("int") else [31]))
        encoded = number(data.draw(st.integers(-(2**bits), 2**bits - 1)))
    _ways(name).agree(encoded)


@needs_native
def test_numbers_are_made_texts_decimals_and_moments_without_the_reference() -> None:
    assert _ways("long as a text").agree(number(-(2**63)))
    assert _ways("long as a decimal").agree(number(-1_234_567))
    assert _ways("local time").agree(number(-1))
    assert not _ways("local time").agree(number(-719_162 * 86_400_000_000)), "in UTC it is before the year 1"
    for value in (Decimal("12.34"), Decimal(0), Decimal("-1.28")):
        octets = int(value * 100).to_bytes(4, "big", signed=True)
        assert _ways("decimal as a wider one").agree(blob(octets))
        assert _ways("decimal as a narrower one").agree(blob(octets))
