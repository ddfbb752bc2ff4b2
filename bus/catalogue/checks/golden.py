"""A mapping's golden file is where it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bus.catalogue.mapping import Mapping
from bus.errors import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bus.catalogue.workspace import Workspace

SUFFIX = ".golden.yaml"


def check(workspace: Workspace) -> Iterator[Finding]:
    """Golden files that are missing or misnamed; mappings without any."""
    for mapping in workspace.all(Mapping):
        name = mapping.spec.golden
        where = workspace.where(mapping, "spec", "golden")
        if not name:
            yield Finding(
                f"mapping {mapping.name} has no golden examples",
                where,
                "name a file in `golden`: rows, and the records or rejects that they become",
                Severity.WARNING,
            )
        elif not name.endswith(SUFFIX):
            yield Finding(f"golden file {name!r} must end in {SUFFIX}", where)
        elif not (workspace.documents[mapping.key].folder / name).is_file():
            yield Finding(f"golden file {name} is not there", where)
