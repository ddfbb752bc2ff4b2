"""Random mappings over random rows, ready to be run: the reference of each is its normaliser called with one record."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st

from bus.catalogue.codelist import CodeList
from bus.catalogue.dataset import Dataset
from bus.catalogue.entity import Entity
from bus.catalogue.mapping import Mapping
from bus.pipeline.codec import Decoders, encoder
from bus.pipeline.envelope import envelope_schema
from bus.pipeline.mapping.compiled import compile_mapping
from bus.pipeline.native.program import compile_mapping_program
from bus.pipeline.normalise import DatasetNormaliser, EntityOutput
from bus.wire import CloudEvent, frame
from tests.property.pipeline.native_rules import CODES, Column
from tests.property.pipeline.native_rules import rules as random_rules
from tests.property.pipeline.native_values import (
    BIRTHS,
    LEAVES,
    blob,
    containers,
    encoded_texts,
    id_numbers,
    mostly,
    named,
    number,
    optional,
)

if TYPE_CHECKING:
    from bus.wire import Headers

RAW: Final = "raw.d.s"
WRITER, NEWER, SHARED_ID = 1, 2, 9
CODELIST: Final = CodeList.model_validate(
    {
        "metadata": {"name": "l"},
        "spec": {"standard": "s", "revision": "1", "codes": [{"code": c, "name": n} for c, n in CODES.items()]},
    }
)


@dataclass(frozen=True)
class Raw:
    """A raw record."""

    key: bytes | None
    value: bytes | None
    offset: int = 7
    headers: Headers = ()  # type: ignore[assignment]
    topic: str = RAW
    partition: int = 2


@dataclass(frozen=True)
class World:
    """A mapping, and the rows that its source writes.

    Attributes:
        output: where its records go.
        decoders: of the two writers.
        rows: key and encoded row, of the older of the two writers; the newer one's have a text more at the end.
        told: what is shown of it when a test fails.
    """

    output: EntityOutput
    decoders: Decoders
    rows: st.SearchStrategy[tuple[bytes, bytes]]
    told: str

    def normaliser(self) -> DatasetNormaliser:
        """A new one; called with a record, it is the reference."""
        return DatasetNormaliser("d.s", self.output, self.decoders)

    def _repr_pretty_(self, printer: Any, _: bool) -> None:
        printer.text(self.told)


def _encoded_change(op: int, before: bytes | None, after: bytes | None, position: bytes) -> bytes:
    images = [b"\0" if image is None else b"\2" + image for image in (before, after)]
    return b"".join([number(op), *images, blob(position), b"\2" + blob(b"\xff77"), b"\1", number(op << 50)])


_ops = st.sampled_from([0, 1, 3, 1, 0, 3, 0, 1, 3, 0, 1, 3, 0, 1, 3, 2, 4])
_headers: st.SearchStrategy[Any] = st.sampled_from(
    [
        CloudEvent("0/1/1", RAW, "urn:shuniu:t:1:g", "2026-11-22T00:00:00Z").headers(),
        [("ce_id", None), ("ce_time", None), ("other", b"x")],
        [],
        [("ce_source", b"one"), ("ce_id", b"1"), ("ce_source", b""), ("ce_id", b"2"), ("ce_time", b"t")],
    ]
)


@st.composite
def records(draw: st.DrawFn, world: World) -> Raw:
    """A change of a row as a source writes it."""
    (key, row), (_, old) = draw(world.rows), draw(world.rows)
    writer = draw(st.sampled_from([WRITER, WRITER, NEWER]))
    if writer == NEWER:
        row, old = row + b"\2" + blob(b"more"), old + b"\0"
    before = old if draw(st.integers(0, 4)) == 3 else None
    after = None if draw(st.integers(0, 60)) == 31 else row
    change = _encoded_change(draw(_ops), before, after, draw(st.sampled_from([b"0/1/1", b"\xff", b""])))
    return Raw(key, frame(writer) + change, headers=draw(_headers))


@st.composite
def _keyed(draw: st.DrawFn, column: Column) -> tuple[bytes, bytes]:
    """The record's key and the encoded key field of its row."""
    encoded = draw(column.encoded)
    content = encoded[1:] if isinstance(column.declared, list) and encoded[:1] in (b"\0", b"\2") else encoded
    right = content[1:] if content[:1] < b"\x80" else content[2:]
    return draw(mostly(st.just(right), st.sampled_from([right[:-1] + b"#", right + b"#", b"", b"\xff"]), 12)), encoded


_keys_of_two = st.lists(st.text(max_size=5), min_size=2, max_size=2).map(lambda texts: json.dumps(texts).encode())
_no_keys_of_two = st.sampled_from([b'["\\ud800","a"]', b'["a"]', b"[1,2]", b"\xff", b"x", b"[" * 100_000])
_composite_keys = mostly(_keys_of_two, _no_keys_of_two, 6)


@st.composite
def _columns(draw: st.DrawFn) -> list[Column]:
    """The fields of a row, but for its key."""
    leaves = draw(st.lists(st.sampled_from([*LEAVES, *["string"] * 12]), min_size=1, max_size=6))
    made = []
    for place, leaf in enumerate(leaves):
        declared, encoded = LEAVES[leaf]
        declared = named(declared, f"N{place}")
        if draw(st.booleans()):
            declared, encoded = optional(declared, encoded, draw(st.integers(0, 1)))
        made.append(Column(f"f{place}", leaf, declared, encoded))
    return made


def _target(name: str, leaf: str, null_at: int, default: int) -> dict[str, Any]:
    """An entity's field; `default` 0 without one."""
    declared = named(LEAVES[leaf][0], f"T{name}")
    if null_at >= 0:
        declared = ["null", declared] if null_at == 0 else [declared, "null"]
    return {"name": name, "type": declared} | ({"default": None} if null_at == 0 and default else {})


def entity_of(fields: list[dict[str, Any]], key: list[str]) -> Entity:
    """The entity `c.e`."""
    schema = {"type": "record", "name": "c.e", "fields": fields}
    return Entity.model_validate({"metadata": {"name": "c.e"}, "spec": {"schema": schema, "key": key, "fields": {}}})


def source_of(key: list[str], scope: dict[str, Any] | None = None) -> Dataset:
    """The dataset `d.s`."""
    spec = {"department": "d", "source": {"adapter": "x", "config": "x", "name": "x"}, "key": key, "scope": scope}
    more: dict[str, Any] = {"share": {"type": "unconditional"}, "update": {"within": "1m"}}
    return Dataset.model_validate({"metadata": {"name": "d.s"}, "spec": spec | more})


def mapping_of(rules: dict[str, Any], cross: list[Any]) -> Mapping:
    """The mapping from one to the other."""
    spec = {"dataset": "d.s", "entity": "c.e", "revision": 3, "fields": rules, "rules": cross}
    return Mapping.model_validate({"metadata": {"name": "m"}, "spec": spec})


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A row schema, an entity, and a mapping from one to the other."""
    keys = [_key_column(draw, "k")]
    if draw(st.integers(0, 5)) == 5:
        keys.append(_key_column(draw, "k2"))
    columns = [*keys, *draw(_columns())]
    targets = [_target(column.name, "string", -1, 0) for column in keys]
    rules: dict[str, Any] = {column.name: {"from": column.name} for column in keys}
    for place in range(draw(st.integers(1, 6))):
        leaf, rule = draw(random_rules(columns))
        targets.append(_target(f"t{place}", leaf, draw(st.integers(-1, 1)), draw(st.integers(0, 1))))
        rules[f"t{place}"] = rule
    cross = _with_person(draw, columns, targets, rules) if draw(st.integers(0, 2)) == 2 else []
    if draw(st.integers(0, 2)) == 2:
        targets.append(_target("made_by_nothing", "long", 0, 1))
    containers_at = draw(st.lists(st.integers(0, len(columns)), max_size=2))
    for place in containers_at:
        declared, encoded = draw(containers(f"C{len(columns)}"))
        columns.insert(place, Column(f"c{len(columns)}", "container", declared, encoded))
    in_any_order = dict(draw(st.permutations(list(rules.items()))))
    names = [column.name for column in keys]
    scope = draw(_scopes(names)) if draw(st.integers(0, 3)) == 3 else None
    return _world(columns, source_of(names, scope), targets, in_any_order, cross)


def _scopes(key: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Predicates over the fields of a key, which about half of the keys pass."""
    name = st.sampled_from(key)
    middle = st.sampled_from(["1", "32", "A", "m", "王", "买"])
    return st.one_of(
        st.builds(lambda field, low: {"field": field, "range": {"from": low}}, name, middle),
        st.builds(lambda field, low: {"not": {"field": field, "prefix": low}}, name, middle),
        st.builds(lambda field, other: {"not": {"field": field, "in": ["王伟", "", other]}}, name, middle),
    )


def _key_column(draw: st.DrawFn, name: str) -> Column:
    leaf = draw(st.sampled_from(["string"] * 8 + ["int", "uuid", "enum", "date"]))
    declared, encoded = LEAVES[leaf]
    declared = named(declared, f"K{name}")
    if draw(st.integers(0, 2)) == 2:
        declared, encoded = optional(declared, encoded, draw(st.integers(0, 1)))
    return Column(name, leaf, declared, encoded)


def _with_person(
    draw: st.DrawFn, columns: list[Column], targets: list[dict[str, Any]], rules: dict[str, Any]
) -> list[dict[str, str]]:
    """Add an id number, a birth date and a sex, which often agree; the rules that say so."""
    births = st.sampled_from([f"{date:%Y%m%d}" for date in BIRTHS])
    parts = (("id", id_numbers), ("birth", births), ("sex", st.sampled_from(["1", "2", "9", "0", "男", ""])))
    for name, usual in parts:
        encoded = mostly(usual.map(lambda text: blob(text.encode())), encoded_texts)
        columns.append(Column(name, "string", *optional("string", encoded, 0)))
        targets.append(_target(name, "date" if name == "birth" else "string", draw(st.integers(-1, 1)), 0))
        rules[name] = {"from": name, "steps": draw(st.sampled_from([[], ["nfkc", "trim"]]))}
    rules["birth"]["date"] = ["YYYYMMDD"]
    if draw(st.booleans()):
        rules["id"]["check"] = "gb11643"
    if draw(st.integers(0, 2)) == 2:  # which no check is about
        rules["id"]["default"] = draw(st.sampled_from(["x", "110105194912310021", "11010519491231002X"]))
    return [
        {"rule": "birth_date_agrees_with_id", "id": "id", "birth_date": "birth"},
        {"rule": "sex_agrees_with_id", "id": "id", "sex": "sex"},
    ][draw(st.integers(0, 1)) :]


def _world(
    columns: list[Column], dataset: Dataset, targets: list[dict[str, Any]], rules: dict[str, Any], cross: list[Any]
) -> World:
    fields = [{"name": column.name, "type": column.declared} for column in columns]
    newer = [*fields, {"name": "more", "type": ["null", "string"]}]
    decoders = Decoders()
    for writer, each in ((WRITER, fields), (NEWER, newer)):
        decoders.add(writer, envelope_schema("d.s", {"type": "record", "name": "t", "fields": each}))
    key = list(dataset.spec.key)
    entity, mapping = entity_of(targets, key), mapping_of(rules, cross)
    codelists = {"l": CODELIST}
    output = EntityOutput(
        topic="shared.c.e",
        partitions=7,
        event_type=b"c.e.v1",
        revision=3,
        key=tuple(key),
        compile=partial(compile_mapping, mapping, entity, dataset, codelists),
        encode=encoder(SHARED_ID, entity.spec.avro),
        program=partial(compile_mapping_program, mapping, entity, dataset, codelists, SHARED_ID),
    )
    told = repr((fields, targets, rules, cross, dataset.spec.scope))
    return World(output, decoders, _rows(columns, len(key)), told)


@st.composite
def _rows(draw: st.DrawFn, columns: list[Column], keys: int) -> tuple[bytes, bytes]:
    made, key = [], b""
    for column in columns:
        if column.name == "k":
            key, encoded = draw(_keyed(column))
            made.append(encoded)
        else:
            made.append(draw(column.encoded))
    return key if keys == 1 else draw(_composite_keys), b"".join(made)
