"""The JSON form of the picture of the bus: what programs rely on."""

from __future__ import annotations

import json

from bus.control.health import (
    BusHealth,
    DatasetHealth,
    SubscriberHealth,
    SubscriptionHealth,
    Verdict,
    WorkerHealth,
)
from bus.errors import Finding

HELD = Finding("it lacks rows", "b-2.csv", "look at it")


def test_the_json_form_has_plain_values_and_the_number_of_its_version() -> None:
    subscription = SubscriptionHealth(name="s", subscriber="portal", view="view.p.v1", lag=None)
    health = BusHealth(
        time=1_700_000_000.12345,
        bus_id="suzhou",
        verdict=Verdict.STALE,
        code="past-promise",
        cause="dataset a.b is 6 min old; 5 min were promised",
        action="call a",
        datasets=(DatasetHealth(name="a.b", freshness_seconds=360.98765, open_rejects=3, notices=(HELD,)),),
        workers=(WorkerHealth(name="w", lanes=(0, 1), failures={1: "KeyError"}),),
        subscribers=(SubscriberHealth(name="portal", subscriptions=(subscription,)),),
    )

    told = health.as_json()

    assert told == json.loads(json.dumps(told)), "plain JSON: nothing changes on the way"
    assert (told["form"], told["verdict"], told["time"]) == (1, "STALE", 1_700_000_000.123)
    assert told["datasets"][0]["freshness_seconds"] == 360.988
    assert told["datasets"][0]["verdict"] == "OK"
    assert told["datasets"][0]["notices"] == [
        {"message": "it lacks rows", "where": "b-2.csv", "fix": "look at it", "severity": "error"}
    ]
    assert told["workers"][0]["failures"] == {"1": "KeyError"}
    assert told["subscribers"][0]["subscriptions"][0]["lag"] is None


def test_verdicts_are_ordered_from_good_to_bad() -> None:
    assert sorted(Verdict, key=lambda verdict: verdict.severity) == ["OK", "PAUSED", "STALE", "STALLED", "FAILED"]
