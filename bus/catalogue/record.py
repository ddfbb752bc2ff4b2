"""What stands in `_bus.catalogue`: one resource with who manages it and how often it changed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from bus.catalogue.kinds import KINDS
from bus.errors import BusError

if TYPE_CHECKING:
    from bus.catalogue.model import Resource

RUNTIME = "runtime"
"""`managedBy` of resources that no workspace owns."""


class BadCatalogueRecordError(BusError):
    """A record of the catalogue cannot be read."""


@dataclass(frozen=True, slots=True)
class CatalogueRecord:
    """The value of a catalogue record.

    Attributes:
        resource: with the content of the files that its YAML names (schema, codes), so that no other file is needed.
        managed_by: the workspace that applied it, or `runtime`.
        generation: 1 when it was made, one more with each change.
        digest: of the resource.
        status: runtime state that YAML cannot set; of a Subscription, `state`.
    """

    resource: Resource
    managed_by: str
    generation: int
    digest: str
    status: dict[str, Any] = field(default_factory=dict)

    def encode(self) -> bytes:
        """The value's JSON in UTF-8."""
        value = {
            "resource": self.resource.document(),
            "managedBy": self.managed_by,
            "generation": self.generation,
            "digest": self.digest,
            **({"status": self.status} if self.status else {}),
        }
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, key: str, value: bytes) -> CatalogueRecord:
        """The inverse of `encode`.

        Raises:
            BadCatalogueRecordError: not JSON of that shape, or of a kind that this version does not know.
        """
        try:
            found = from_json(value)  # gives equal texts once: of thousands of views most are alike
            model = KINDS[found["resource"]["kind"]]
            return cls(
                model.model_validate(found["resource"]),
                found["managedBy"],
                found["generation"],
                found["digest"],
                found.get("status", {}),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise BadCatalogueRecordError(
                type(error).__name__,
                where=f"_bus.catalogue, key {key}",
                fix="it was written by a newer version of the bus",
            ) from None
