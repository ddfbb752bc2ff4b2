"""Department: who publishes or receives data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from bus.catalogue.model import Model, Resource
from bus.pipeline.mapping.check_digits import is_credit_code


def _credit_code(value: str) -> str:
    if not is_credit_code(value):
        raise ValueError("not a unified social credit code (GB 32100): 18 characters, the last a check digit")
    return value


DivisionCode = Annotated[str, Field(pattern=r"^[0-9]{6}$", description="GB/T 2260 division code, six digits")]
CreditCode = Annotated[
    str, AfterValidator(_credit_code), Field(description="unified social credit code, GB 32100, its check digit right")
]


class Contact(Model):
    """Someone to call when a dataset is late or its rows are rejected."""

    name: str
    phone: str = ""
    email: str = ""
    role: str = ""


class DepartmentSpec(Model):
    """A department's identity.

    Attributes:
        credit_code: stands in `ce_source` of its events.
        division: GB/T 2260 code of the area that it serves.
        contacts: in the order in which to call them.
    """

    credit_code: CreditCode
    division: DivisionCode
    contacts: tuple[Contact, ...] = ()


class Department(Resource):
    """A department; its name (`gongan`) is the first word of its datasets' names."""

    kind: Literal["Department"] = "Department"
    spec: DepartmentSpec
