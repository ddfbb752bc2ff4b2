"""Random views of random records; the schema of the records' writer may be older than the view."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from bus.catalogue.avro_type import field_types
from bus.catalogue.predicate import Predicate
from bus.catalogue.view import NAMED_MASKS, View
from bus.pipeline.codec import Decoders, encoder
from bus.pipeline.entity_views import EntityViews, ViewOutput
from bus.pipeline.mapping.mask import Pseudonym, compile_id, compile_key, compile_projection
from bus.pipeline.memory import Memory
from bus.pipeline.native.program import compile_view_program
from bus.pipeline.route import PartitionRouter
from bus.wire import FRAME_BYTES, frame
from tests.property.pipeline.native_values import LEAVES, containers, mostly, named, optional

if TYPE_CHECKING:
    from bus.pipeline.native.program import Program
    from tests.property.pipeline.native_values import Encoded

WRITER, VIEW_ID, TWIN_ID = 1, 9, 300


@dataclass(frozen=True)
class Shown:
    """Views of an entity.

    Attributes:
        views: of it; the first has no filter, some show the same as another.
        decoders: of its records.
        entity: its Avro schema.
        bodies: encoded records.
    """

    views: list[ViewOutput]
    decoders: Decoders
    entity: dict[str, Any]
    bodies: Encoded

    def _repr_pretty_(self, printer: Any, _: bool) -> None:
        """What is shown of it when a test fails: the schemas, and which views there are."""
        printer.text(f"{self.entity} {dict(self.decoders.schemas)} {[view.program for view in self.views]}")

    def router(self, views: list[ViewOutput]) -> PartitionRouter:
        """A new router of one partition."""
        memory = Memory()
        entity = EntityViews(views, self.decoders, field_types(self.entity), "_bus.members.c.e")
        memory.adopt(entity.topic_ids, 0)
        return PartitionRouter(entity, 0, memory)


_OTHERS = {
    "int": ["long"],
    "long": ["int", "timestamp-micros"],
    "date": ["int"],
    "decimal": ["bytes"],
    "bytes": ["string"],
    "string": ["bytes", "enum", "uuid"],
    "float": ["double"],
    "timestamp-micros": ["timestamp-millis"],
}


@st.composite
def shown(draw: st.DrawFn) -> Shown:
    """An entity, an older schema of it, and some views."""
    entity, writer, bodies = [], [], []
    for place, leaf in enumerate(["string", *draw(st.lists(st.sampled_from([*LEAVES, *["string"] * 6]), max_size=6))]):
        name, null_at = f"f{place}", draw(st.integers(-1, 1))
        entity.append({"name": name, "type": _declared(leaf, null_at, f"E{place}")})
        old = draw(mostly(st.just(leaf), st.sampled_from(_OTHERS.get(leaf, [leaf])), 20))
        null_at = draw(mostly(st.just(null_at), st.integers(-1, 1), 20))
        declared = draw(mostly(st.just(_declared(old, null_at, f"W{place}")), _altered(old, f"W{place}"), 20))
        writer.append({"name": name, "type": declared})
        encoded = LEAVES[old][1]
        bodies.append(optional("", encoded, declared.index("null"))[1] if isinstance(declared, list) else encoded)
    if draw(st.booleans()):
        declared, encoded = draw(containers("C"))
        entity.append({"name": "c", "type": declared})
        writer.append({"name": "c", "type": declared})
        bodies.append(encoded)
    return _shown(draw, _record("c.e", entity), _record("c.e", writer), st.tuples(*bodies).map(b"".join))


def _record(name: str, fields: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": fields}


def _declared(leaf: str, null_at: int, name: str) -> Any:
    declared = named(LEAVES[leaf][0], name)
    return declared if null_at < 0 else optional(declared, st.nothing(), null_at)[0]


@st.composite
def _altered(draw: st.DrawFn, leaf: str, name: str) -> Any:
    """A type that is encoded in the same way, and says something else."""
    declared = named(LEAVES[leaf][0], name)
    if not isinstance(declared, dict):
        return declared
    changes: list[dict[str, Any]] = [{"scale": 1}, {"precision": 8}]
    return {
        **declared,
        **({"symbols": ["B", "A", "x9", "C_"]} if leaf == "enum" else {}),
        **(draw(st.sampled_from(changes)) if "precision" in declared else {}),
    }


def _shown(draw: st.DrawFn, entity: dict[str, Any], writer: dict[str, Any], bodies: Encoded) -> Shown:
    decoders = Decoders()
    decoders.add(WRITER, writer)
    filters = [None, *[Predicate(field="f0", eq="王伟")] * draw(st.integers(0, 2))]
    views = [_view(draw, f"v{place}", entity, rows) for place, rows in enumerate(filters)]
    return Shown([*views, *(_twin(view) for view in views if draw(st.booleans()))], decoders, entity, bodies)


def _twin(view: ViewOutput) -> ViewOutput:
    """Another view that shows the same of the same records."""
    assert view.program is not None
    compiled = view.program

    def program(writer_id: int, writer: dict[str, Any]) -> Program:
        return replace(compiled(writer_id, writer), frame=frame(TWIN_ID))

    def encode(record: Any) -> bytes:
        return frame(TWIN_ID) + view.encode(record)[FRAME_BYTES:]

    topic, kind = view.topic.replace("view.", "view.twin_"), b"c.e.v2"
    return replace(
        view, topic=topic, topic_id=topic, partitions=2, event_type=kind, revision=2, encode=encode, program=program
    )


def _view(draw: st.DrawFn, name: str, entity: dict[str, Any], rows: Predicate | None) -> ViewOutput:
    types = field_types(entity)
    names = draw(st.permutations(sorted(types)))[: draw(st.integers(1, len(types)))]
    texts = [each for each in names if types[each].name == "string"]
    hidden = draw(st.dictionaries(st.sampled_from(texts), masks | st.none(), max_size=4)) if texts else {}
    spec = {
        "entity": "c.e",
        "revision": 1,
        "fields": names,
        "masks": {field: mask for field, mask in hidden.items() if mask is not None},
        "pseudonyms": {field: "secret" for field, mask in hidden.items() if mask is None},
    }
    view = View.model_validate({"metadata": {"name": name}, "spec": spec})
    hides = {field: Pseudonym(b"secret") for field in view.spec.pseudonyms}
    schema, project = compile_projection(entity, view, hides)
    return ViewOutput(
        topic=f"view.{name}.v1",
        partitions=draw(st.integers(1, 5)),
        event_type=b"c.e.v1",
        revision=1,
        project=project,
        encode=encoder(VIEW_ID, schema),
        filter=rows,
        topic_id=name,
        key=compile_key(["f0"], hides),
        id_of=compile_id(f"view.{name}.v1", view, hides),
        program=partial(compile_view_program, view, hides, schema, VIEW_ID),
    )


_counts = st.integers(0, 6)
masks = st.sampled_from(sorted(NAMED_MASKS)) | st.fixed_dictionaries(
    {"keep_start": _counts, "keep_end": _counts, "with": st.sampled_from("*＊\x00·🀄")},
    optional={"length": st.integers(1, 9)},
)


def value(body: bytes) -> bytes:
    """A record of shared."""
    return frame(WRITER) + body
