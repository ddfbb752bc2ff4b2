"""Entity: the canonical record that datasets are normalised to."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, WithJsonSchema, model_validator

from bus.catalogue.duration import Duration
from bus.catalogue.model import Count, Grade, Model, Resource

AvroSchema = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "pattern": r"\.avsc$"}, {"type": "object"}],
            "description": "an .avsc file beside this one, or the Avro schema itself",
        }
    ),
]


class EntityField(Model):
    """Who answers for a field, and how sensitive it is (一数一源)."""

    grade: Grade
    authority: str
    item: str = ""
    doc: str = ""


class EntitySpec(Model):
    """A canonical record.

    Attributes:
        avro: Avro schema of the record; in YAML `schema`, usually a file beside it.
        key: fields that make the key, in this order.
        nature: `state` keeps the latest record per key; `event` keeps every record for `retention`.
        retention: for events, how long.
        fields: grade, authority department and item code of every field of the schema.
        partitions: of the shared topic; immutable, because keys are spread by it.
    """

    avro: AvroSchema = Field(alias="schema")
    key: tuple[str, ...] = Field(min_length=1)
    nature: Literal["state", "event"] = "state"
    retention: Duration | None = None
    revision: Count = 1
    partitions: Count = 8
    fields: dict[str, EntityField]

    @model_validator(mode="after")
    def _events_are_kept_for_a_time(self) -> Self:
        if (self.nature == "event") != (self.retention is not None):
            raise ValueError("`retention` belongs to `nature: event`, and only to it")
        return self


class Entity(Resource):
    """An entity, named `<domain>.<entity>`; its records are on `shared.<domain>.<entity>`."""

    name_parts: ClassVar[int] = 2

    kind: Literal["Entity"] = "Entity"
    spec: EntitySpec

    @classmethod
    def has_revisions(cls) -> bool:
        """An entity's revision is in its events' type."""
        return True
