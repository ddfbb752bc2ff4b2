"""Subscriber: a system that receives data."""

from __future__ import annotations

from typing import Literal

from bus.catalogue.department import Contact
from bus.catalogue.model import Model, Resource


class SubscriberSpec(Model):
    """A receiving system.

    Attributes:
        department: the department that answers for it.
        principal: its SCRAM user; empty means the subscriber's name.
    """

    department: str
    principal: str = ""
    contacts: tuple[Contact, ...] = ()


class Subscriber(Resource):
    """A subscriber."""

    kind: Literal["Subscriber"] = "Subscriber"
    spec: SubscriberSpec
