"""How `bus catalogue` lists a resource."""

from __future__ import annotations

import datetime as dt

import pytest

from bus.catalogue import clock
from bus.catalogue.record import CatalogueRecord
from bus.catalogue.subscription import Subscription
from bus.commands.catalogue import listed


@pytest.mark.parametrize(
    ("state", "days_left", "shown"), [("active", 0, "active"), ("active", -1, "ended"), ("revoked", -1, "revoked")]
)
def test_an_active_subscription_is_shown_as_ended_once_its_last_day_is_over(
    state: str, days_left: int, shown: str
) -> None:
    last_day = clock.now().date() + dt.timedelta(days=days_left)  # of this moment: midnight may be near
    spec = {
        "subscriber": "portal",
        "view": "people",
        "revision": 1,
        "purpose": "p",
        "legal_basis": "l",
        "delivery": "kafka",
        "valid_until": last_day.isoformat(),
    }
    subscription = Subscription.model_validate({"metadata": {"name": "portal-people"}, "spec": spec})

    assert listed(CatalogueRecord(subscription, "city", 1, "x", {"state": state}))["state"] == shown
