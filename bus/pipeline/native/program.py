"""A mapping, or a view, as a program: what is read of a writer's records, an instruction for each field written.

Compiled once per (writer schema, mapping or view), and immutable. The native interpreter runs it from bytes to bytes;
what has no instruction of its own is a call to the reference for that field, which is remembered where values repeat.
Whatever the interpreter gives up is the reference's, which stays the specification (bus/decisions/0014).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from fastavro import parse_schema

from bus.catalogue.avro_type import AvroType, field_types
from bus.catalogue.pattern import longest_text
from bus.pipeline import avro_source
from bus.pipeline.envelope import row_schema
from bus.pipeline.mapping.conversion import zone
from bus.pipeline.mapping.field_rule import absent_value, compile_field
from bus.pipeline.native.filter_program import FilterProgram, compile_filters
from bus.pipeline.native.forms import Part, native_forms
from bus.pipeline.native.nodes import LONG, NO_LIMIT, Node, NotNativeError, inlined, node, only_native
from bus.pipeline.native.pattern import Item, simple_ways
from bus.pipeline.predicate_index import PredicateIndex
from bus.pipeline.reject import Reject, RejectedError
from bus.pipeline.writer_schema import parsed_writer
from bus.wire import frame

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bus.catalogue.codelist import CodeList
    from bus.catalogue.dataset import Dataset
    from bus.catalogue.entity import Entity
    from bus.catalogue.mapping import FieldRule, Number, Timestamp
    from bus.catalogue.mapping import Mapping as MappingResource
    from bus.catalogue.view import View
    from bus.pipeline.mapping.mask import Pseudonyms


Call = Callable[[bytes], bytes | Reject | None]
"""From encoded source fields to an encoded field, by the reference; its verdict if it does not accept them, None if it
would have to look at the whole record."""

_INT: Final = (-(2**31), 2**31 - 1)
_MOST_MASKED: Final = 1_000_000
_TYPES_KEPT: Final = 1_024
"""Readers and writers of values, each 5 kB and a millisecond to make. Thousands of fields are of a few types."""
_COPIED: Final = frozenset(
    {"boolean", "bytes", "int", "long", "double", "date", "time", "timestamp", "local-timestamp"}
)
_PLAIN: Final = frozenset({"boolean", "number", "bytes", "fixed"})
_VERBATIM: Final = frozenset({"boolean", "number", "text", "bytes", "fixed", "enum"})
_INTEGERS: Final = frozenset({("int", ""), ("long", "")})
_DECIMAL: Final = ("bytes", "decimal")
_UNITS: Final = {"timestamp-millis": 1_000, "timestamp-micros": 1}
_SIGNS: Final = frozenset({"", ",", ".", "'", " ", "_"})
"""Of numbers in texts: none that a number is made of."""
_IMAGES: Final = frozenset({"op", "before", "after"})
_NATIVE_STEPS: Final = frozenset({"nfkc", "trim", "upper", "lower"})


@dataclass(frozen=True, slots=True)
class Instruction:
    """How a field of the output is made.

    Attributes:
        operation: constant, copy, clean (a text through steps and checks), mask, pseudonym; integer, decimal, real,
            date, moment (out of a text); digits (a number as a text), rescale (a number or a decimal as a decimal),
            zoned (a local time as a moment); or call.
        slots: its source fields, by their places in the row.
        present: bytes before the value where there is one (the branch of a union); the whole field of a constant.
        absent: the whole field where the source has no value; None if the record is then rejected.
        target_null_at: as of a node.
        rank: its place in the reference's order: of several fields that break a rule, the first is told.
        call: makes the whole field out of its encoded sources; asked, too, why a field is refused. See `Call`. Of a
            pseudonym, it makes the text that is shown of a text.
        memo: what the call made is remembered: its values repeat.
        least, most: of a number that is copied, read or shifted.
        steps: of a text, in any order: nfkc, trim, upper, lower.
        shortest, longest: of a text, in characters.
        pattern: the ways that a text may look; none for any.
        pattern_longest: characters of the longest text that the pattern is tried on.
        check: gb11643, gb32100 or empty.
        keep_start, keep_end: of a mask, in characters.
        fill: of a mask, a character in UTF-8.
        hidden: of a mask, characters that stand for the hidden ones; 0 for as many as there were.
        thousands, point: of a number in a text, the codes of its signs; -1 for none.
        source_scale, source_precision: of a decimal that is read; precision 0 for a number.
        scale, whole: of one that is written, the digits after its point, and before it at most.
        forms: of a date or a moment in a text; none for a moment in ISO 8601.
        offset: of one that states none, or of a local time, minutes.
        unit: microseconds of its number.
    """

    operation: str
    slots: tuple[int, ...] = ()
    present: bytes = b""
    absent: bytes | None = None
    target_null_at: int = -1
    call: Call | None = None
    memo: bool = False
    rank: int = 0
    least: int = 0
    most: int = 0
    steps: tuple[str, ...] = ()
    shortest: int = 0
    longest: int = NO_LIMIT
    pattern: tuple[tuple[Item, ...], ...] = ()
    pattern_longest: int = NO_LIMIT
    check: str = ""
    keep_start: int = 0
    keep_end: int = 0
    fill: bytes = b""
    hidden: int = 0
    thousands: int = -1
    point: int = -1
    source_scale: int = 0
    source_precision: int = 0
    scale: int = 0
    whole: int = 0
    forms: tuple[tuple[Part, ...], ...] = ()
    offset: int = 0
    unit: int = 1


@dataclass(frozen=True, slots=True)
class Program:
    """What the interpreter runs.

    Attributes:
        head: the five bytes before what this writer wrote.
        frame: the five bytes before what is made of it.
        row: what the slots are read from: the `after` of a change, or the whole record.
        instructions: one for each field of the output, in the order of its schema.
        envelope: the fields of a change: `op`, `before`, `after` or empty for one that is read over; and its node.
        ops: symbols of `op`.
        delete: which of them is a deletion: the row before, or none, and a tombstone if its key passes its rules.
        key_slot: the field of the row that must be the record's key; -1 where only the reference can tell.
        key_instructions: those of the entity's key: a row whose key they refuse was never published.
        scope: what the key of a row must pass; None for all rows.
        scope_slots: the fields of the row that it reads.
        birth_rule, sex_rule: places, in the output, of the id number and what must agree with it; -1 without the rule.
    """

    head: bytes
    frame: bytes
    row: Node
    instructions: tuple[Instruction, ...]
    envelope: tuple[tuple[str, Node], ...] = ()
    ops: int = 0
    delete: int = -1
    key_slot: int = -1
    key_instructions: tuple[int, ...] = ()
    scope: FilterProgram | None = None
    scope_slots: tuple[int, ...] = ()
    birth_rule: tuple[int, int] = (-1, -1)
    sex_rule: tuple[int, int] = (-1, -1)


def compile_mapping_program(  # noqa: PLR0913, PLR0917  the resources, and the two ends
    mapping: MappingResource,
    entity: Entity,
    dataset: Dataset,
    codelists: Mapping[str, CodeList],
    output_id: int,
    writer_id: int,
    writer: dict[str, Any],
) -> Program:
    """The program for a writer's changes.

    Args:
        mapping: a mapping that `bus validate` accepts.
        entity: what it makes.
        dataset: what it reads.
        codelists: by name; those that the mapping names.
        output_id: schema id of the entity's records.
        writer_id: schema id of the changes.
        writer: Avro schema of the changes, an envelope.

    Raises:
        NotNativeError: it has something that only the reference knows.
    """
    with only_native():
        change = inlined(parsed_writer(writer)[0])
        target = inlined(parse_schema(entity.spec.avro))
        fields = {field["name"]: field["type"] for field in change["fields"]}
        symbols = fields["op"]["symbols"]
        row = row_schema(writer)
        source = _Source.of(_row_of(fields), field_types(row))
        scope, scope_slots = _scope(mapping, entity, dataset, source, row)
        types = field_types(entity.spec.avro)
        places = {field["name"]: place for place, field in enumerate(target["fields"])}
        return Program(
            head=frame(writer_id),
            frame=frame(output_id),
            envelope=tuple((name if name in _IMAGES else "", node(declared)) for name, declared in fields.items()),
            row=node(source.row),
            ops=len(symbols),
            delete=symbols.index("d"),
            key_slot=_key_slot(dataset.spec.key, source),
            instructions=tuple(_instruction(field, mapping, types, source, codelists) for field in target["fields"]),
            key_instructions=tuple(places[name] for name in entity.spec.key),
            scope=scope,
            scope_slots=scope_slots,
            **_rules(mapping, types, places),
        )


def compile_view_program(  # noqa: PLR0913, PLR0917  the view, and the two ends
    view: View, hides: Pseudonyms, output: dict[str, Any], output_id: int, writer_id: int, writer: dict[str, Any]
) -> Program:
    """The program for an entity's records.

    Args:
        view: of the entity.
        hides: its pseudonyms, by field.
        output: Avro schema of the view's records.
        output_id: its schema id.
        writer_id: schema id of the entity's records.
        writer: their Avro schema.

    Raises:
        NotNativeError: it has something that only the reference knows.
    """
    with only_native():
        source = _Source.of(inlined(parsed_writer(writer)[0]), field_types(writer))
        target = inlined(parse_schema(output))
        return Program(
            head=frame(writer_id),
            frame=frame(output_id),
            row=node(source.row),
            instructions=tuple(_shown(field, view, hides, source) for field in target["fields"]),
        )


def compile_fields_program(writer_id: int, writer: dict[str, Any]) -> Program:
    """The program that reads a writer's records, and makes nothing of them.

    Raises:
        NotNativeError: they have something that only the reference knows.
    """
    with only_native():
        return Program(head=frame(writer_id), frame=b"", row=node(inlined(parsed_writer(writer)[0])), instructions=())


def _shown(field: dict[str, Any], view: View, hides: Pseudonyms, source: _Source) -> Instruction:
    """A field of a view."""
    name = field["name"]
    declared = source.declared(name)
    null_at = node(field["type"]).null_at
    present = _branch(1 - null_at) if null_at >= 0 else b""
    absent = _branch(null_at) if null_at >= 0 else None
    slots = (source.slots[name],)
    if name in view.spec.masks:
        if node(declared).kind != "text" or node(field["type"]).kind != "text":
            raise NotNativeError("a mask of something else than a text")
        mask = view.spec.masks[name]
        if max(mask.keep_start, mask.keep_end, mask.length or 0) > _MOST_MASKED:
            raise NotNativeError("a mask of very many characters")
        return Instruction(
            "mask",
            slots,
            present,
            absent,
            null_at,
            keep_start=mask.keep_start,
            keep_end=mask.keep_end,
            fill=mask.fill.encode(),
            hidden=mask.length or 0,
        )
    hide = hides.get(name)
    if hide is None and node(declared).kind in _VERBATIM and _is_same(declared, field["type"]):
        least, most = _bounds(field["type"])
        return Instruction("copy", slots, present, absent, null_at, least=least, most=most)
    if hide is not None and node(declared).kind == node(field["type"]).kind == "text":
        return Instruction("pseudonym", slots, present, absent, null_at, hide.of)
    show = (lambda value: None if value is None else hide(value)) if hide else (lambda value: value)
    write = _value_writer(field["type"])
    call = _call((name,), source, lambda row: show(row[name]), write)
    return Instruction("call", slots, present, absent, null_at, call)


def _is_same(one: Any, other: Any) -> bool:
    """Whether every value is the same bytes in both types.

    A decimal is not: the number may stand in more or fewer bytes, and its scale may differ. Nor is a float: Python
    makes a quiet NaN of one that signals.
    """
    kind, logical = encoding = _encoding(one)
    if encoding != _encoding(other) or kind == "float" or logical == "decimal":
        return False
    return node(one) == node(other) and _symbols(one) == _symbols(other)


def _bounds(declared: Any) -> tuple[int, int]:
    """What a number of a type may be; a reader does not hold an int to its 32 bits, a writer does."""
    return _INT if _encoding(declared)[0] == "int" else LONG


def _symbols(declared: Any) -> Any:
    return _some(declared).get("symbols")


def _row_of(change: dict[str, Any]) -> dict[str, Any]:
    """The one kind of rows that a change has, from the types of its fields."""
    image = change["after"]
    if not isinstance(image, list) or len(image) != 2 or image[0] != "null" or image[1]["type"] != "record":
        raise NotNativeError("a row that is not an optional record")
    if change["before"] != image:
        raise NotNativeError("rows of two kinds")
    row: dict[str, Any] = image[1]
    return row


@dataclass(frozen=True, slots=True)
class _Source:
    """The rows that are read."""

    row: dict[str, Any]
    slots: Mapping[str, int]
    types: Mapping[str, AvroType]

    @classmethod
    def of(cls, row: dict[str, Any], types: Mapping[str, AvroType]) -> _Source:
        return cls(row, {field["name"]: place for place, field in enumerate(row["fields"])}, types)

    def declared(self, name: str) -> Any:
        return self.row["fields"][self.slots[name]]["type"]


def _key_slot(key: Sequence[str], source: _Source) -> int:
    if len(key) != 1 or key[0] not in source.slots:
        return -1
    kind = node(source.declared(key[0])).kind
    if kind == "enum":
        raise NotNativeError("a key that is an enum")
    return source.slots[key[0]] if kind == "text" else -1


def _instruction(
    field: dict[str, Any],
    mapping: MappingResource,
    types: Mapping[str, AvroType],
    source: _Source,
    codelists: Mapping[str, CodeList],
) -> Instruction:
    name = field["name"]
    write = _value_writer(field["type"])
    null_at = node(field["type"]).null_at
    rule = mapping.spec.fields.get(name)
    if rule is None:
        return Instruction("constant", present=write(field["default"]), target_null_at=null_at)
    target = types[name]
    types_read = [source.types.get(each) for each in rule.sources]
    make = compile_field(name, rule, types_read, target, codelists, remembers=False)  # the interpreter does
    if rule.const is not None or not all(each in source.slots for each in rule.sources):
        return Instruction("constant", present=write(make({})), target_null_at=null_at)
    common: dict[str, Any] = {
        "slots": tuple(source.slots[each] for each in rule.sources),
        "present": _branch(1 - null_at) if null_at >= 0 else b"",
        "absent": _absent(name, rule, target, write),
        "target_null_at": null_at,
        "rank": list(mapping.spec.fields).index(name),
        "call": _call(rule.sources, source, make, write),
        "memo": bool(rule.codes or rule.date) or target.name == "enum" or _repeats(source, rule),
    }
    if len(rule.sources) > 1 or rule.split is not None:
        return Instruction("call", **common)
    declared, declared_as = source.declared(rule.sources[0]), source.types[rule.sources[0]]
    operation = _operation(rule, declared, field["type"], declared_as, target)
    return Instruction(**(operation or {"operation": "call"}), **common)


def _operation(
    rule: FieldRule, source: Any, written: Any, source_type: AvroType, target: AvroType
) -> dict[str, Any] | None:
    """What makes a field out of another without the reference; None where there is nothing."""
    if _is_copy(rule, source, written, source_type, target):
        least, most = _bounds(written)
        return {"operation": "copy", "least": least, "most": most}
    if rule.timestamp is not None and source_type.name == "local-timestamp":
        return _zoned(rule.timestamp, source, written)
    if not _is_tidy(rule, node(source)):
        return _rescaling(rule, source, written)
    if rule.timestamp is not None:
        found = _moment(rule.timestamp, written)
    elif rule.date:
        found = _date(rule, written)
    elif rule.number is not None:
        found = _number(rule.number, written, target)
    else:
        found = {"operation": "clean"} if target.name == "string" and not rule.codes else None
    return None if found is None else found | _cleaning(rule)


def _repeats(source: _Source, rule: FieldRule) -> bool:
    return all(source.types[name].name in {"enum", "boolean", "date"} for name in rule.sources)


def _absent(name: str, rule: FieldRule, target: AvroType, write: Callable[[Any], bytes]) -> bytes | None:
    try:
        return write(absent_value(name, rule, target)())
    except RejectedError:
        return None


def _call(
    sources: Sequence[str], source: _Source, make: Callable[[dict[str, Any]], Any], write: Callable[[Any], bytes]
) -> Call:
    """From the encoded fields of the source to the encoded field, by the reference."""
    read = _values_reader(json.dumps([source.declared(each) for each in sources]))

    def call(taken: bytes) -> bytes | Reject | None:
        try:
            return write(make(dict(zip(sources, read(taken).values(), strict=True))))
        except RejectedError as rejected:
            return rejected.reject
        except Exception:  # noqa: BLE001  the reference meets it again, and says what it is
            return None

    return call


def _is_copy(rule: FieldRule, source: Any, target: Any, source_type: AvroType, target_type: AvroType) -> bool:
    if target_type.name not in _COPIED or rule.codes is not None or node(source).kind not in _PLAIN:
        return False
    if rule.timestamp is not None and source_type.name == "local-timestamp":
        return False
    if {source_type.name, target_type.name} <= {"int", "long"}:
        return True
    return source_type.name == target_type.name and _encoding(source) == _encoding(target)


def _encoding(declared: Any) -> tuple[str, str]:
    declared = _some(declared)
    return declared["type"], declared.get("logicalType", "")


def _some(declared: Any) -> Any:
    """The type of a value that is there: of an optional one, the branch that is not null."""
    return next(branch for branch in declared if branch != "null") if isinstance(declared, list) else declared


def _branch(place: int) -> bytes:
    """What stands before the value of a union of two."""
    return bytes([2 * place])


def _value_writer(declared: Any) -> Callable[[Any], bytes]:
    """Encodes a value of a parsed type."""
    write = _row_writer(json.dumps(declared))
    return lambda value: write({"value": value})


@lru_cache(maxsize=_TYPES_KEPT)
def _row_writer(declared: str) -> Callable[[dict[str, Any]], bytes]:
    """Encodes a row of one value, of a type that stands here as JSON."""
    fields = [{"name": "value", "type": json.loads(declared)}]
    return avro_source.writer({"type": "record", "name": "one", "fields": fields}, b"")


@lru_cache(maxsize=_TYPES_KEPT)
def _values_reader(declared: str) -> Callable[[bytes], dict[str, Any]]:
    """Reads values that stand behind each other, of types that stand here as JSON."""
    fields = [{"name": f"v{place}", "type": each} for place, each in enumerate(json.loads(declared))]
    return avro_source.reader({"type": "record", "name": "some", "fields": fields}, 0)


def _is_tidy(rule: FieldRule, source: Node) -> bool:
    """Whether the steps and the form of a text are native."""
    if source.kind != "text" or not _NATIVE_STEPS.issuperset(rule.steps):
        return False
    return not {"upper", "lower"}.issubset(rule.steps) and (rule.pattern is None or bool(simple_ways(rule.pattern)))


def _moment(rule: Timestamp, written: Any) -> dict[str, Any] | None:
    forms, unit = native_forms(rule.formats), _UNITS.get(_encoding(written)[1])
    if forms is None or unit is None:
        return None
    return {"operation": "moment", "forms": forms, "offset": _minutes(rule.timezone), "unit": unit}


def _date(rule: FieldRule, written: Any) -> dict[str, Any] | None:
    forms = native_forms(rule.date)
    if forms is None or rule.check or _encoding(written) != ("int", "date"):
        return None
    return {"operation": "date", "forms": forms}


def _zoned(rule: Timestamp, source: Any, written: Any) -> dict[str, Any] | None:
    (_, local), (_, logical) = _encoding(source), _encoding(written)
    if logical not in _UNITS or local != f"local-{logical}":
        return None
    within = node(written)  # no reader can make a time of what is beyond
    offset, unit = _minutes(rule.timezone), _UNITS[logical]
    return {"operation": "zoned", "offset": offset, "unit": unit, "least": within.least, "most": within.most}


def _number(rule: Number, written: Any, target: AvroType) -> dict[str, Any] | None:
    if not {rule.thousands, rule.decimal} <= _SIGNS:
        return None
    signs = {"thousands": ord(rule.thousands) if rule.thousands else -1, "point": ord(rule.decimal)}
    match rule.type, *_encoding(written):
        case "integer", "int" | "long", "":
            least, most = _bounds(written)
            return {"operation": "integer", "least": least, "most": most, **signs}
        case "decimal", "bytes", "decimal":
            return {"operation": "decimal", "scale": target.scale, "whole": target.precision - target.scale, **signs}
        case "float", "double", _:
            return {"operation": "real", **signs}
    return None


def _rescaling(rule: FieldRule, source: Any, written: Any) -> dict[str, Any] | None:
    """What writes a number as a text, or a number or a decimal as a decimal; None where only the reference does."""
    plain = rule.codes is None and not rule.steps and rule.pattern is None and rule.check is None
    if not plain or rule.min_length is not None or rule.max_length is not None or rule.date or rule.timestamp:
        return None
    read, made = _encoding(source), _encoding(written)
    if read in _INTEGERS and made == ("string", "") and rule.number is None:
        return {"operation": "digits"}
    if (read not in _INTEGERS and read != _DECIMAL) or made != _DECIMAL:
        return None
    source, written = _some(source), _some(written)
    scale = written.get("scale", 0)
    return {
        "operation": "rescale",
        "source_scale": source.get("scale", 0),
        "source_precision": source.get("precision", 0),
        "scale": scale,
        "whole": written["precision"] - scale,
    }


def _minutes(offset: str) -> int:
    return zone(offset).utcoffset(None) // dt.timedelta(minutes=1)


def _cleaning(rule: FieldRule) -> dict[str, Any]:
    made: dict[str, Any] = {"steps": rule.steps, "check": rule.check or ""}
    if rule.min_length is not None:
        made["shortest"] = rule.min_length
    if rule.max_length is not None:
        made["longest"] = rule.max_length
    if rule.pattern is not None:
        made["pattern"], made["pattern_longest"] = simple_ways(rule.pattern), longest_text(rule.pattern)
    return made


def _scope(
    mapping: MappingResource, entity: Entity, dataset: Dataset, source: _Source, row: dict[str, Any]
) -> tuple[FilterProgram | None, tuple[int, ...]]:
    """The key's fields are plain copies, so that the source's are looked at, as the entity's types have them."""
    if (scope := dataset.spec.scope) is None:
        return None, ()
    types = field_types(entity.spec.avro)
    index = PredicateIndex([scope], {mapping.spec.fields[name].sources[0]: types[name] for name in entity.spec.key})
    read = sorted(scope.fields)
    return compile_filters(index, read, row), tuple(source.slots[name] for name in read)


def _rules(
    mapping: MappingResource, types: Mapping[str, AvroType], places: Mapping[str, int]
) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for rule in mapping.spec.rules:
        name = "birth_rule" if rule.birth_date is not None else "sex_rule"
        other = rule.birth_date or rule.sex or ""
        wanted = "date" if rule.birth_date is not None else "string"
        if name in found or types[rule.id].name != "string" or types[other].name != wanted:
            raise NotNativeError(f"the rule {rule.rule}")
        found[name] = (places[rule.id], places[other])
    return found
