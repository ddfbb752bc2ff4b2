"""Dataset: what a department publishes, from which source, under which promise."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from bus.catalogue.duration import Duration
from bus.catalogue.model import Count, Grade, Model, Resource
from bus.catalogue.predicate import Predicate


class Source(Model):
    """Where the rows come from.

    Attributes:
        adapter: the adapter's kind (`postgres`), as `bus adapter list` shows it.
        config: name of the adapter instance; `bus adapter run <config>` runs all datasets that name it. A replication
            slot (63 characters) is called by it, with `shuniu_` before it.
        name: the source's own name of the dataset (`public.population`).
    """

    adapter: str = Field(min_length=1)
    config: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=56)
    name: str = Field(min_length=1)


class Share(Model):
    """May others have it: to everyone who asks, under a condition, or not at all."""

    type: Literal["unconditional", "conditional", "none"]
    condition: str = ""

    @model_validator(mode="after")
    def _condition_is_stated(self) -> Self:
        if (self.type == "conditional") != bool(self.condition):
            raise ValueError("`condition` belongs to `type: conditional`, and only to it")
        return self


class Update(Model):
    """How fresh the dataset is promised to be: a change is on the bus within this time."""

    within: Duration


class DatasetField(Model):
    """A source field, for people and for grading."""

    doc: str = ""
    grade: Grade | None = None


class DatasetSpec(Model):
    """A published dataset.

    Attributes:
        department: its owner; also the first word of the dataset's name.
        key: fields that make the record key: what stays the same while the thing itself stays the same.
        scope: which keys this dataset may hold (over key fields); others are rejected with `outside_scope`.
        partitions: of the raw topic, fixed when it is created.
        retention: how long raw changes are kept.
        fields: what is known of the source's fields; when given, a mapping may read no other.
    """

    department: str
    source: Source
    key: tuple[str, ...] = Field(min_length=1)
    scope: Predicate | None = None
    partitions: Count = 4
    retention: Duration = "7d"
    share: Share
    update: Update
    fields: dict[str, DatasetField] = Field(default_factory=dict)


class Dataset(Resource):
    """A dataset, named `<department>.<dataset>`; its changes are on `raw.<department>.<dataset>`."""

    name_parts: ClassVar[int] = 2

    kind: Literal["Dataset"] = "Dataset"
    spec: DatasetSpec
