"""CodeList: the codes of a standard."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from bus.catalogue.model import Model, Resource


class Code(Model):
    """One code. `valid_from` and `valid_to` are ISO dates; they inform, old records keep their codes."""

    code: str = Field(min_length=1)
    name: str = Field(min_length=1)
    valid_from: str = Field(default="", pattern=r"^$|^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
    valid_to: str = Field(default="", pattern=r"^$|^[0-9]{4}-[0-9]{2}-[0-9]{2}$")


Codes = Annotated[
    tuple[Code, ...],
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "pattern": r"\.csv$"}, {"type": "array"}],
            "description": "a CSV file beside this one (code,name[,valid_from,valid_to]), or the codes themselves",
        }
    ),
]


class CodeListSpec(Model):
    """A standard's codes.

    Attributes:
        standard: its number and name, `GB/T 2261.1-2003 个人基本信息分类与代码 第1部分：人的性别代码`.
        revision: the edition or release of the codes, as its publisher calls it.
        codes: in YAML usually a CSV file beside it.
    """

    standard: str
    revision: str
    codes: Codes = Field(min_length=1)


class CodeList(Resource):
    """A code list."""

    kind: Literal["CodeList"] = "CodeList"
    spec: CodeListSpec

    def names(self) -> dict[str, str]:
        """Code → name."""
        return {code.code: code.name for code in self.spec.codes}
