"""What mappings read, held against the newest schema of their datasets' rows: what rejects every row is told before.

Warnings only: the source may get the field later.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from bus.catalogue.avro_type import field_types
from bus.catalogue.codelist import CodeList
from bus.catalogue.entity import Entity
from bus.catalogue.mapping import Mapping
from bus.errors import Finding, Severity
from bus.pipeline.envelope import row_schema
from bus.pipeline.mapping.field_rule import compile_field
from bus.pipeline.reject import RejectedError
from bus.wire import raw_topic, subject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Mapping as Map

    from bus.catalogue.avro_type import AvroType
    from bus.catalogue.cluster_state import SubjectState
    from bus.catalogue.workspace import Workspace


def plan_sources(workspace: Workspace, subjects: Map[str, SubjectState]) -> Iterator[Finding]:
    """A warning for each field that a mapping cannot make of the rows as they are now.

    Args:
        workspace: one that has no errors.
        subjects: of the registry, by name; a dataset that has never published has none yet, and nothing is told of it.
    """
    for mapping in workspace.named(Mapping).values():
        raw = subjects.get(subject(raw_topic(mapping.spec.dataset)))
        if raw is None or not raw.schemas or (rows := _rows(mapping, workspace, raw.schemas[-1])) is None:
            continue
        for name in mapping.spec.fields:
            where = workspace.where(mapping, "spec", "fields", name)
            for message, fix in rows.warnings(name):
                yield Finding(f"field {name}: {message}", where, fix, Severity.WARNING)


def is_broken(mapping: Mapping, workspace: Workspace, changes: dict[str, Any]) -> bool:
    """Whether a mapping makes nothing of any row in changes of this schema."""
    rows = _rows(mapping, workspace, changes)
    return rows is not None and any(rows.fault(name) for name in mapping.spec.fields)


def _rows(mapping: Mapping, workspace: Workspace, changes: dict[str, Any]) -> _Rows | None:
    """None for what somebody else has registered, and is no schema of changes: the worker refuses it by itself."""
    try:
        return _Rows.of(mapping, workspace, changes)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class _Rows:
    """A mapping, and the rows that it meets: their types, those of what it makes, and the code lists."""

    mapping: Mapping
    sources: dict[str, AvroType]
    targets: dict[str, AvroType]
    codelists: dict[str, CodeList]

    @classmethod
    def of(cls, mapping: Mapping, workspace: Workspace, changes: dict[str, Any]) -> Self:
        """Under a schema of changes.

        Raises:
            ValueError: it is none.
        """
        targets = field_types(workspace.named(Entity)[mapping.spec.entity].spec.avro)
        return cls(mapping, field_types(row_schema(changes)), targets, workspace.named(CodeList))

    def fault(self, name: str) -> str:
        """Why no row has a field of the entity; empty if rows may have it."""
        rule = self.mapping.spec.fields[name]
        types = [self.sources.get(source) for source in rule.sources]
        try:
            compile_field(name, rule, types, self.targets[name], self.codelists)
        except RejectedError:
            return "every row is rejected until it has"
        except ValueError as error:
            return f"{error}; every row is rejected"
        return ""

    def warnings(self, name: str) -> Iterator[tuple[str, str]]:
        """What is wrong with a field of the entity, and the way out."""
        fault = self.fault(name)
        missing = [source for source in self.mapping.spec.fields[name].sources if source not in self.sources]
        for source in missing:
            yield f"the source has no field {source!r}; {fault or self._absent(name)}", self._nearest(source)
        if fault and not missing:
            yield fault, "`date`, `timestamp`, `number` and `codes` read texts; else change one of the two types"

    def _absent(self, name: str) -> str:
        return "it stays empty" if self.mapping.spec.fields[name].default is None else "it is always its default"

    def _nearest(self, source: str) -> str:
        close = difflib.get_close_matches(source, self.sources, n=1)
        return f"did you mean {close[0]!r}?" if close else f"it has {', '.join(self.sources)}"
