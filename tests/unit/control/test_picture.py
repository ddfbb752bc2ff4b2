"""Who does the work, as heartbeats of the living and the dead tell it."""

from __future__ import annotations

from bus.catalogue.catalogue import Catalogue
from bus.console.totals import totals
from bus.control.beats import Heard
from bus.control.picture import Seen, picture
from bus.pipeline.heartbeat import WorkerBeat

NOW = 1_000_000.0


def seen(**heard: float) -> Seen:
    """A bus whose workers were heard of so many seconds ago; each had both lanes then."""
    beats = {
        name: Heard(WorkerBeat(host="h", pid=1, state="running", worker=name, lanes=[0, 1]), NOW - ago)
        for name, ago in heard.items()
    }
    return Seen(now=NOW, bus_id="t", catalogue=Catalogue.from_records({}), workers=beats)


def test_a_killed_worker_has_no_lanes_where_another_lives_and_is_not_counted() -> None:
    health = picture(seen(killed=30.0, lives=1.0))

    assert {each.name: (each.state, each.lanes, each.ok) for each in health.workers} == {
        "killed": ("silent", (), True),
        "lives": ("running", (0, 1), True),
    }
    assert totals(health).workers == (1, 1)


def test_the_only_worker_is_counted_when_it_is_killed() -> None:
    health = picture(seen(killed=30.0))

    assert [(each.state, each.lanes, each.ok) for each in health.workers] == [("silent", (0, 1), False)]
    assert totals(health).workers == (0, 1)
