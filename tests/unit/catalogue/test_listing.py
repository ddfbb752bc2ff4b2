"""How `bus catalogue` lists a resource."""

from __future__ import annotations

import datetime as dt

import pytest

from bus.catalogue import clock
from bus.catalogue.record import CatalogueRecord
from bus.catalogue.subscription import Subscription
from bus.commands.catalogue import listed

TODAY = clock.now().date()


@pytest.mark.parametrize(
    ("state", "last_day", "shown"),
    [
        ("active", TODAY, "active"),
        ("active", TODAY - dt.timedelta(days=1), "ended"),
        ("revoked", TODAY - dt.timedelta(days=1), "revoked"),
    ],
)
def test_an_active_subscription_is_shown_as_ended_once_its_last_day_is_over(
    state: str, last_day: dt.date, shown: str
) -> None:
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
