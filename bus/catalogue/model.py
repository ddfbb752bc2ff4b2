"""What all resource kinds share: `kind`, `metadata`, `spec`; frozen, and an unknown key is an error."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, Strict

Count = Annotated[int, Strict(), Field(ge=1)]
Grade = Annotated[int, Strict(), Field(ge=1, le=4, description="data grade, 1 (public) to 4 (most sensitive)")]
Scalar = Annotated[str, Strict()] | Annotated[bool, Strict()] | Annotated[int, Strict()] | Annotated[float, Strict()]


class Model(BaseModel):
    """Base of every part of a resource."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)


class Metadata(Model):
    """What a resource is called.

    Attributes:
        name: stands in topic names, so ASCII; unique among the resources of its kind.
        title: for people, in their own language.
        doc: what it is and why.
    """

    name: str
    title: str = ""
    doc: str = ""


class Resource(Model):
    """One resource of the catalogue."""

    name_parts: ClassVar[int] = 1
    """How many words joined by dots its name has."""

    kind: str
    metadata: Metadata

    @property
    def name(self) -> str:
        """`metadata.name`."""
        return self.metadata.name

    @property
    def revision_number(self) -> int | None:
        """N of a kind that has revisions, else None."""
        return getattr(getattr(self, "spec", None), "revision", None) if self.has_revisions() else None

    @classmethod
    def has_revisions(cls) -> bool:
        """Whether several revisions of one name are several resources."""
        return False

    @property
    def key(self) -> str:
        """Its key in `_bus.catalogue`: `<Kind>/<name>`, and `/<revision>` where the kind has revisions."""
        revision = self.revision_number
        return f"{self.kind}/{self.name}" + (f"/{revision}" if revision is not None else "")

    def document(self) -> dict[str, Any]:
        """The resource as JSON values, without what is at its default; `kind` always."""
        body = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return {"kind": self.kind, **body}

    def digest(self) -> str:
        """`sha256:` and the hash of the canonical JSON text: same digest, same content."""
        return digest(self.document())


def digest(value: Any) -> str:
    """`sha256:<hex>` of a JSON value's canonical text (sorted keys, no spaces, UTF-8)."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
