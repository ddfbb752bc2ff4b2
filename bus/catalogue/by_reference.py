"""What of a workspace the compiled code leaves to the reference, and why. It costs speed, and nothing else.

Told as far as schemas are known: of a mapping once its dataset's changes have a schema in the registry, of a view
always.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bus.catalogue.avro_type import field_types
from bus.catalogue.codelist import CodeList
from bus.catalogue.dataset import Dataset
from bus.catalogue.entity import Entity
from bus.catalogue.mapping import Mapping
from bus.catalogue.plan_sources import is_broken
from bus.catalogue.view import View
from bus.pipeline.mapping.mask import Pseudonym, view_schema
from bus.pipeline.native.filter_program import compile_filters
from bus.pipeline.native.nodes import NotNativeError
from bus.pipeline.native.program import compile_mapping_program, compile_view_program
from bus.pipeline.predicate_index import PredicateIndex
from bus.wire import raw_topic, subject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Mapping as Map

    from bus.catalogue.cluster_state import SubjectState
    from bus.catalogue.workspace import Workspace
    from bus.pipeline.native.program import Program


@dataclass(frozen=True, slots=True)
class ByReference:
    """A mapping or a view of which something goes through the reference, record by record.

    Attributes:
        kind: mapping or view.
        name: of a view with its revision.
        fields: those of its output that do; empty if all of it does.
        reason: of all of it; empty if only fields do.
        where: file and line.
    """

    kind: str
    name: str
    fields: tuple[str, ...] = ()
    reason: str = ""
    where: str = ""

    def __str__(self) -> str:
        """`where: note: …`, as compilers print."""
        told = f"its fields {', '.join(self.fields)} go" if self.fields else "it goes"
        why = f": {self.reason}" if self.reason else ""
        return f"{self.where}: note: {self.kind} {self.name}: {told} through the reference, not the compiled code{why}"

    def json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self) | {"fields": list(self.fields)}


def mappings_by_reference(workspace: Workspace, subjects: Map[str, SubjectState]) -> Iterator[ByReference]:
    """The mappings of a workspace that has no errors, under the newest schema of their datasets' changes.

    One that makes nothing of any row is left out: `plan_sources` warns of it.

    Args:
        workspace: what there is.
        subjects: of the registry, by name.
    """
    datasets, entities, codelists = workspace.named(Dataset), workspace.named(Entity), workspace.named(CodeList)
    for mapping in workspace.named(Mapping).values():
        dataset, entity = datasets[mapping.spec.dataset], entities[mapping.spec.entity]
        raw = subjects.get(subject(raw_topic(dataset.name)))
        if raw is None or not raw.schemas or is_broken(mapping, workspace, raw.schemas[-1]):
            continue
        where = workspace.where(mapping, "spec")
        try:
            program = compile_mapping_program(mapping, entity, dataset, codelists, 0, 0, raw.schemas[-1])
        except NotNativeError as reason:
            yield ByReference("mapping", mapping.name, reason=_said(reason), where=where)
        else:
            if fields := _called(program, entity.spec.avro):
                yield ByReference("mapping", mapping.name, fields, where=where)


def views_by_reference(workspace: Workspace) -> Iterator[ByReference]:
    """The views of a workspace that has no errors, of which all goes through the reference, or the filter does.

    As soon as it is one view's filter, it is those of all views of the entity.
    """
    entities = workspace.named(Entity)
    for view in workspace.all(View):
        written = entities[view.spec.entity].spec.avro
        hides = dict.fromkeys(view.spec.pseudonyms, Pseudonym(b""))
        try:
            compile_view_program(view, hides, view_schema(written, view), 0, 0, written)
            if (shown := view.spec.filter) is not None:
                compile_filters(PredicateIndex([shown], field_types(written)), sorted(shown.fields), written)
        except NotNativeError as reason:
            name, where = f"{view.name}.v{view.spec.revision}", workspace.where(view, "spec")
            yield ByReference("view", name, reason=_said(reason), where=where)


def _said(reason: NotNativeError) -> str:
    """The reason in words; of what the compiler met and does not name itself, no more than that."""
    return str(reason) if reason.__context__ is None else "its schema has what the compiled code does not know"


def _called(program: Program, written: dict[str, Any]) -> tuple[str, ...]:
    """The fields that call the reference for each record: what a call made is not remembered."""
    return tuple(
        field["name"]
        for field, made in zip(written["fields"], program.instructions, strict=True)
        if made.operation == "call" and not made.memo
    )
