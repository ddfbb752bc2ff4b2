"""View: what subscribers of one kind see of an entity. A revision is immutable, and is its topic."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from bus.catalogue.model import Count, Model, Resource
from bus.catalogue.predicate import Predicate

NAMED_MASKS: dict[str, dict[str, Any]] = {
    "phone": {"keep_start": 3, "keep_end": 4},
    "name": {"keep_start": 1},
    "id_number": {"keep_start": 6, "keep_end": 4},
    "all": {"length": 3},
}


MOST_FILLED = 1_000
"""Fill characters of a mask: a record that is shown must not become larger than a topic takes."""

PseudonymKey = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
"""Name of a secret key; see `bus.pseudonym_keys`."""


class Mask(Model):
    """Hides the middle of a text; in YAML also the name of a mask: phone, name, id_number, all.

    Attributes:
        keep_start: characters shown at the start.
        keep_end: characters shown at the end.
        fill: the character that stands for a hidden one; in YAML `with`.
        length: always so many fill characters, so that the text's length is hidden too.

    A text too short to hide anything between start and end is hidden whole; null stays null. There are never more than
    `MOST_FILLED` fill characters, however long the text is.
    """

    keep_start: int = Field(default=0, ge=0, strict=True)
    keep_end: int = Field(default=0, ge=0, strict=True)
    fill: str = Field(default="*", alias="with", min_length=1, max_length=1)
    length: int | None = Field(default=None, ge=1, le=MOST_FILLED, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value not in NAMED_MASKS:
            raise ValueError(f"no mask is called {value!r}; there are {', '.join(NAMED_MASKS)}")
        return NAMED_MASKS[value]


class ViewSpec(Model):
    """A projection, a row filter and masks.

    Attributes:
        entity: what it is a view of.
        revision: N of the topic `view.<name>.v<N>`.
        fields: the entity's fields that are shown, in this order; the key fields among them.
        masks: field → mask; texts only.
        pseudonyms: field → name of a secret key: the field shows `hmac-sha256:<hex>` of its text, the same wherever the
            secret is the same. If it is a key field, the record's key shows that too. The view belongs to one
            subscriber.
        filter: rows that are shown; all if absent.
    """

    entity: str
    revision: Count
    fields: tuple[str, ...] = Field(min_length=1)
    masks: dict[str, Mask] = Field(default_factory=dict)
    pseudonyms: dict[str, PseudonymKey] = Field(default_factory=dict)
    filter: Predicate | None = None

    @field_validator("fields")
    @classmethod
    def _fields_are_named_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        twice = sorted({name for name in value if value.count(name) > 1})
        if twice:
            raise ValueError(f"named twice: {', '.join(twice)}")
        return value


class View(Resource):
    """A view."""

    kind: Literal["View"] = "View"
    spec: ViewSpec

    @classmethod
    def has_revisions(cls) -> bool:
        """Two revisions of a view live side by side while subscribers move over."""
        return True
