"""Subscription: who may receive which view, what for, on which legal basis, until when."""

from __future__ import annotations

import datetime as dt
from typing import Final, Literal

from pydantic import Field

from bus.catalogue.model import Count, Model, Resource

REQUESTED: Final = "requested"
ACTIVE: Final = "active"
REVOKED: Final = "revoked"
WITHDRAWN: Final = "withdrawn"
"""`status.state` of a Subscription's catalogue record; only an active one's view has a topic."""


class SubscriptionSpec(Model):
    """A demand, or its withdrawal; whether it is granted is runtime state, which YAML cannot set.

    Attributes:
        subscriber: who.
        view: which view, and its `revision`.
        purpose: what for.
        legal_basis: the rule that allows it.
        delivery: how; `kafka` is reading the view's topic.
        valid_until: last day, ISO date.
        withdrawn: the subscriber no longer wants it.
    """

    subscriber: str
    view: str
    revision: Count
    purpose: str = Field(min_length=1)
    legal_basis: str = Field(min_length=1)
    delivery: Literal["kafka"] = "kafka"
    valid_until: dt.date
    withdrawn: bool = False


class Subscription(Resource):
    """A subscription."""

    kind: Literal["Subscription"] = "Subscription"
    spec: SubscriptionSpec

    def has_ended(self, today: dt.date) -> bool:
        """Whether the last day that it is valid is over."""
        return self.spec.valid_until < today
