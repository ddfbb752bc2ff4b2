"""Mapping: how a dataset's rows become an entity's records, field by field.

A rule works in this order, whatever the order of its keys in YAML: take (`from`, `join`, `split`, or `const`) →
`steps` → missing (`default`, `required`) → form (`pattern`, `min_length`, `max_length`) → one of `date`, `timestamp`,
`number`, `codes` → `check`. A text that is empty after its steps counts as missing.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from bus.catalogue.model import Count, Model, Resource, Scalar
from bus.catalogue.pattern import compiles
from bus.pipeline.mapping.date_format import date_pattern

Step = Literal["trim", "nfkc", "upper", "lower", "squeeze"]
Check = Literal["gb11643", "gb32100"]


def _one_or_several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _formats(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if "YYYY" not in value or "MMM" in value:
            raise ValueError(
                f"{value!r} is no date format: it needs YYYY, MM or M, and DD or D; there are no names of months"
            )
        date_pattern(value)
    return values


_one_or_list = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
SourceFields = Annotated[tuple[str, ...], BeforeValidator(_one_or_several), WithJsonSchema(_one_or_list)]
Formats = Annotated[
    tuple[str, ...], BeforeValidator(_one_or_several), AfterValidator(_formats), WithJsonSchema(_one_or_list)
]


class Split(Model):
    """One part of a text: cut at every `by`, take part number `part` (from 0; −1 is the last)."""

    by: str = Field(min_length=1)
    part: int = Field(strict=True)


class Timestamp(Model):
    """A moment out of a text, or out of a local time. `timezone` is the offset of texts that state none."""

    formats: Formats = ()
    timezone: str = Field(default="+08:00", pattern=r"^[+-][0-9]{2}:[0-9]{2}$")


class Number(Model):
    """A number out of a text: its type, and the signs that it uses."""

    type: Literal["integer", "decimal", "float"]
    thousands: str = Field(default="", max_length=1)
    decimal: str = Field(default=".", min_length=1, max_length=1)


class CodeMap(Model):
    """A source's code to the standard's.

    Attributes:
        list: the code list; what comes out is one of its codes, unless `to: name`.
        source: what the source holds: the list's codes (checked, unchanged) or its names. In YAML `from`.
        to: what comes out, code or name.
        map: the source's own codes → the list's; then nothing else is taken.
    """

    list: str
    source: Literal["code", "name"] = Field(default="code", alias="from")
    to: Literal["code", "name"] = "code"
    map: dict[str, str] | None = None

    @property
    def changes(self) -> bool:
        """Whether a value may come out other than it went in."""
        return self.map is not None or self.source != self.to


class FieldRule(Model):
    """How one field of the entity's record is made."""

    sources: SourceFields = Field(default=(), alias="from")
    const: Scalar | None = None
    join: str | None = None
    split: Split | None = None
    steps: tuple[Step, ...] = ()
    default: Scalar | None = None
    required: bool = False
    pattern: Annotated[str, AfterValidator(compiles)] | None = None
    min_length: Count | None = None
    max_length: Count | None = None
    date: Formats = ()
    timestamp: Timestamp | None = None
    number: Number | None = None
    codes: CodeMap | None = None
    check: Check | None = None

    @model_validator(mode="after")
    def _is_one_rule(self) -> Self:
        if bool(self.sources) == (self.const is not None):
            raise ValueError("a field needs either `from` or `const`")
        if (len(self.sources) > 1) != (self.join is not None):
            raise ValueError("`join` belongs to several fields in `from`, and only to them")
        if sum(map(bool, (self.date, self.timestamp, self.number, self.codes))) > 1:
            raise ValueError("only one of `date`, `timestamp`, `number`, `codes`")
        return self

    @property
    def is_plain_copy(self) -> bool:
        """The value comes out as it went in, or is rejected: what a key field needs."""
        changed = self.steps or self.date or (self.codes and self.codes.changes)
        values = (self.const, self.default, self.split, self.timestamp, self.number)
        return len(self.sources) == 1 and not changed and all(value is None for value in values)


class CrossRule(Model):
    """A rule over several fields of the record that came out; names are the entity's fields.

    `birth_date_agrees_with_id`: the date inside the id number (GB 11643-1999, digits 7–14) is `birth_date`.
    `sex_agrees_with_id`: digit 17 is odd for men, even for women (GB 11643-1999 4.3); codes GB/T 2261.1 0 and 9 agree
    with either.
    """

    rule: Literal["birth_date_agrees_with_id", "sex_agrees_with_id"]
    id: str
    birth_date: str | None = None
    sex: str | None = None

    @model_validator(mode="after")
    def _names_its_fields(self) -> Self:
        wanted, other = ("birth_date", "sex") if self.rule.startswith("birth_date") else ("sex", "birth_date")
        if getattr(self, wanted) is None or getattr(self, other) is not None:
            raise ValueError(f"rule {self.rule} needs `id` and `{wanted}`")
        return self

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that it reads."""
        return tuple(name for name in (self.id, self.birth_date, self.sex) if name is not None)


class MappingSpec(Model):
    """From a dataset to an entity.

    Attributes:
        revision: in the id of every event made by it; a changed rule needs a new one.
        fields: the entity's field → its rule.
        rules: cross-field rules, after all fields are made.
        golden: file of examples beside it, for `bus mapping test`.
    """

    dataset: str
    entity: str
    revision: Count
    fields: dict[str, FieldRule] = Field(min_length=1)
    rules: tuple[CrossRule, ...] = ()
    golden: str = ""


class Mapping(Resource):
    """A mapping."""

    kind: Literal["Mapping"] = "Mapping"
    spec: MappingSpec

    @classmethod
    def has_revisions(cls) -> bool:
        """A mapping's revision is in the id of every event that it makes."""
        return True
