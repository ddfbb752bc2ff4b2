"""A workspace: a folder of YAML files that hold resources, with a `workspace.yaml` that names it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bus.catalogue.checks import check_all, golden
from bus.catalogue.kinds import KINDS
from bus.catalogue.load import identity_of, load_resource
from bus.catalogue.yaml_document import Document, read_documents
from bus.errors import Finding, NotAWorkspaceError, Severity, WorkspaceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bus.catalogue.model import Resource

FILE = "workspace.yaml"

ResourceT = TypeVar("ResourceT", bound="Resource")


def default_workspace() -> Path:
    """The workspace that ships with the bus: `bus/schemas` in the wheel, `schemas/` in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "schemas"
    return installed if installed.is_dir() else package.parent / "schemas"


def starter_workspace() -> Path:
    """The small workspace that `bus init` copies."""
    return Path(__file__).parent / "starter"


@dataclass(frozen=True, slots=True)
class Workspace:
    """All resources of a folder that could be read.

    Attributes:
        name: stands as `managedBy` at everything that is applied from it.
        folder: where it is.
        resources: kind → key in the catalogue → resource.
        documents: key in the catalogue → the YAML that it stands in.
        findings: what is wrong or doubtful, of all files.
        broken: kind and name of resources that are there but could not be read; nothing more is said of those who
            refer to them.
    """

    name: str
    folder: Path
    resources: dict[str, dict[str, Resource]]
    documents: dict[str, Document] = field(repr=False)
    findings: tuple[Finding, ...] = ()
    broken: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def read(cls, folder: Path) -> Workspace:
        """Everything in the folder, with all findings.

        Raises:
            NotAWorkspaceError: there is no such folder, or no `workspace.yaml` in it.
        """
        name = _workspace_name(folder)
        reading = _Reading(folder)
        for file in _files(folder):
            reading.take(file)
        workspace = cls(name, folder, reading.resources, reading.documents, broken=frozenset(reading.broken))
        findings = [*reading.findings, *check_all(workspace)]
        findings.sort(key=lambda finding: _place(finding.where))
        return replace(workspace, findings=tuple(findings))

    @classmethod
    def load(cls, folder: Path) -> Workspace:
        """The workspace, if it has no errors.

        Raises:
            NotAWorkspaceError: see `read`.
            WorkspaceError: it has errors; carries all findings.
        """
        workspace = cls.read(folder)
        if workspace.errors:
            raise WorkspaceError(workspace.findings, str(folder))
        return workspace

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that are errors."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.ERROR)

    def all(self, kind: type[ResourceT]) -> list[ResourceT]:
        """The resources of a kind, by key."""
        found = self.resources.get(kind.__name__, {})
        return [resource for _, resource in sorted(found.items()) if isinstance(resource, kind)]

    def named(self, kind: type[ResourceT]) -> dict[str, ResourceT]:
        """Name → resource of a kind (of a kind with revisions, the highest of each name)."""
        ordered = sorted(self.all(kind), key=lambda resource: resource.revision_number or 0)
        return {resource.name: resource for resource in ordered}

    def where(self, resource: Resource, *path: str | int) -> str:
        """file:line of a part of a resource."""
        return self.documents[resource.key].where(path)


class _Reading:
    """What has been read so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.resources: dict[str, dict[str, Resource]] = {kind: {} for kind in KINDS}
        self.documents: dict[str, Document] = {}
        self.findings: list[Finding] = []
        self.broken: set[tuple[str, str]] = set()

    def take(self, file: Path) -> None:
        """Read one file."""
        documents, findings = read_documents(file, shown_path(file))
        self.findings += findings
        for document in documents:
            resource, findings = load_resource(document)
            self.findings += findings
            if resource is not None:
                self._add(resource, document)
            elif (identity := identity_of(document)) is not None:
                self.broken.add(identity)

    def _add(self, resource: Resource, document: Document) -> None:
        if (first := self.documents.get(resource.key)) is not None:
            self.findings.append(
                Finding(
                    f"{resource.kind} {resource.key.partition('/')[2]} is there twice",
                    document.where(("metadata", "name")),
                    f"the other one is at {first.where(('metadata', 'name'))}: rename one of them, or remove it",
                )
            )
            return
        self.resources[resource.kind][resource.key] = resource
        self.documents[resource.key] = document


def _workspace_name(folder: Path) -> str:
    file = folder / FILE
    if not file.is_file():
        reason = f"no {FILE} in it" if folder.is_dir() else "there is no such folder"
        reason = "that is not a folder" if folder.exists() and not folder.is_dir() else reason
        raise NotAWorkspaceError(
            reason, where=str(folder), fix="name the folder of a workspace, or leave it out for the default one"
        )
    documents, findings = read_documents(file, shown_path(file))
    value: Any = documents[0].value if documents else None
    name: Any = None
    if len(documents) > 1:
        raise NotAWorkspaceError(
            f"{FILE} holds more than the Workspace",
            where=documents[1].where(),
            fix="move what stands behind it to a file of its own, for instance resources.yaml",
        )
    if isinstance(value, dict) and value.get("kind") == "Workspace" and isinstance(value.get("metadata"), dict):
        name = value["metadata"].get("name")
    if findings or not isinstance(name, str) or not name:
        raise NotAWorkspaceError(
            findings[0].message if findings else "it must say `kind: Workspace` and `metadata: {name: …}`",
            where=findings[0].where if findings else f"{shown_path(file)}:1",
        )
    return name


def _files(folder: Path) -> Iterator[Path]:
    for file in sorted([*folder.rglob("*.yaml"), *folder.rglob("*.yml")]):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        if file != folder / FILE and not hidden and not file.name.endswith(golden.SUFFIX) and file.is_file():
            yield file


def shown_path(file: Path) -> Path:
    """The file as a user would name it: from the current folder if it lies below it."""
    return file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file


def _place(where: str) -> tuple[str, int]:
    file, _, line = where.rpartition(":")
    return file, int(line) if line.isdigit() else 0
