"""Subscriber: a system that receives data."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bus.catalogue.department import Contact
from bus.catalogue.model import Model, Resource


class SubscriberSpec(Model):
    """A receiving system.

    Attributes:
        department: the department that answers for it.
        principal: its user on Kafka; empty means the subscriber's name.
    """

    department: str
    principal: str = Field(default="", pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$")
    contacts: tuple[Contact, ...] = ()


class Subscriber(Resource):
    """A subscriber."""

    kind: Literal["Subscriber"] = "Subscriber"
    spec: SubscriberSpec

    @property
    def principal(self) -> str:
        """Its user on Kafka."""
        return self.spec.principal or self.name
