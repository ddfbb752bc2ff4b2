"""The rules by which operators are told how something is."""

from __future__ import annotations

import datetime as dt
import re

import pytest

from bus.control.health import Judged, Verdict
from bus.control.verdict import (
    AdapterSeen,
    ReaderSeen,
    WorkerSeen,
    is_subscription_undecided,
    is_undecided,
    judge_adapter,
    judge_ended,
    judge_freshness,
    judge_notices,
    judge_reader,
    judge_subscription,
    judge_view,
    judge_worker,
    span,
    worst,
)
from bus.errors import Finding, Severity


def adapter(silent: float | None = 2.0, state: str = "running", error: str = "") -> Judged:
    seen = AdapterSeen(name="gongan", silent_seconds=silent, state=state, error=error, host="front-1", pid=4711)
    return judge_adapter(seen)


def reader(**seen: float | list[int]) -> ReaderSeen:
    return ReaderSeen(topic="raw.gongan.population", group="_bus.normalise", **seen)  # type: ignore[arg-type]


@pytest.mark.parametrize("state", ["starting", "running", "snapshot"])
def test_an_adapter_that_beats_is_well_however_quiet_its_source(state: str) -> None:
    assert adapter(silent=19.0, state=state).ok


def test_a_dead_adapter_is_named_with_its_machine_and_the_command_that_starts_it() -> None:
    told = adapter(silent=21.0)

    assert (told.verdict, told.code) == (Verdict.STALLED, "adapter-silent")
    assert "adapter gongan is dead or cut off: not heard of for 21 s (front-1, process 4711)" in told.cause
    assert told.action.endswith("start it again: bus adapter run gongan --config FILE")


@pytest.mark.parametrize(
    ("silent", "state", "error", "verdict", "code"),
    [
        (None, "", "", Verdict.STALLED, "adapter-never"),
        (3.0, "stopped", "", Verdict.STALLED, "adapter-stopped"),
        (3.0, "waiting", "SourceUnavailableError", Verdict.STALLED, "adapter-waiting"),
        (3.0, "failed", "SourceRefusedError", Verdict.FAILED, "adapter-failed"),
        (3_000.0, "failed", "SourceRefusedError", Verdict.FAILED, "adapter-failed"),
        (3.0, "paused", "", Verdict.PAUSED, "adapter-paused"),
    ],
)
def test_what_keeps_an_adapter_from_publishing(
    silent: float | None, state: str, error: str, verdict: Verdict, code: str
) -> None:
    told = adapter(silent, state, error)

    assert (told.verdict, told.code) == (verdict, code)
    assert error in told.cause
    assert told.action


@pytest.mark.parametrize(
    ("silent", "state"), [(None, ""), (3.0, "stopped"), (3.0, "waiting"), (3.0, "failed"), (30.0, "running")]
)
def test_the_command_that_an_adapter_needs_is_told_whole(silent: float | None, state: str) -> None:
    commands = re.findall(r"bus adapter (?:run|check) \w+(.*?)(?:;|, then|$)", adapter(silent, state).action)

    assert commands
    assert set(commands) == {" --config FILE"}


def test_one_record_waits_and_two_wait() -> None:
    assert judge_reader(reader(lag=1, workers=0)).cause.startswith("1 record waits on raw.gongan.population")
    assert judge_reader(reader(lag=2, workers=0)).cause.startswith("2 records wait on raw.gongan.population")
    assert judge_subscription(Judged(), portal(1, 300.0, 6.0)).cause.startswith("1 record waits for group portal")


def test_records_that_wait_while_others_are_taken_are_no_stall() -> None:
    assert judge_reader(reader(lag=50_000, waiting_seconds=40.0, unmoved_seconds=0.5)).ok
    assert judge_reader(reader(lag=50_000, waiting_seconds=4.0, unmoved_seconds=4.0)).ok


def test_records_that_wait_and_are_not_taken_are_a_stall() -> None:
    told = judge_reader(reader(lag=1_234, waiting_seconds=40.0, unmoved_seconds=3.5))

    assert (told.verdict, told.code) == (Verdict.STALLED, "no-progress")
    assert "1,234 records wait on raw.gongan.population, the oldest for 40 s" in told.cause


def test_without_a_worker_a_lag_is_a_stall_at_once() -> None:
    told = judge_reader(reader(lag=1, waiting_seconds=0.1, workers=0))

    assert (told.verdict, told.code, told.action) == (Verdict.STALLED, "no-worker", "start one: bus worker")
    assert judge_reader(reader(lag=0, workers=0)).ok


def test_a_missing_offset_is_a_failure_whatever_else_there_is() -> None:
    told = judge_reader(reader(missing=[3, 1], lag=0))

    assert (told.verdict, told.code) == (Verdict.FAILED, "offset-missing")
    assert "no valid offset on raw.gongan.population, partition 1, 3" in told.cause


def test_only_a_longer_look_tells_slow_from_stalled() -> None:
    assert is_undecided(reader(lag=5, waiting_seconds=20.0, unmoved_seconds=0.0))
    assert not is_undecided(reader(lag=5, waiting_seconds=20.0, unmoved_seconds=3.0))
    assert not is_undecided(reader(lag=5, waiting_seconds=2.0))
    assert not is_undecided(reader(lag=0, waiting_seconds=20.0))


def test_what_is_older_than_promised_is_stale_and_says_whom_to_call() -> None:
    told = judge_freshness("dataset gongan.population", 301.0, 300.0, "gongan: 人口数据岗")

    assert (told.verdict, told.code) == (Verdict.STALE, "past-promise")
    assert told.cause == "dataset gongan.population is 5 min old; 5 min were promised"
    assert told.action == "call gongan: 人口数据岗"
    assert judge_freshness("it", 300.0, 300.0, "").ok
    assert judge_freshness("it", None, 300.0, "").ok


HELD = Finding("it lacks 60 of 100 known rows, more than 30%", "firms-2.csv", "look at it")
REFUSED = Finding("it is empty", "firms-1.csv", "write it again", Severity.WARNING)


def test_what_waits_for_a_person_is_a_stall_with_the_adapters_reason_and_fix() -> None:
    told = judge_notices("dataset scjg.enterprises", [HELD, REFUSED])

    assert (told.verdict, told.code, told.action) == (Verdict.STALLED, "source-waits", "look at it")
    assert told.cause == (
        "dataset scjg.enterprises: firms-2.csv waits for a person: it lacks 60 of 100 known rows, more than 30%"
    )
    assert "firms-2.csv (and 2 more) waits" in judge_notices("it", [HELD, HELD, HELD, REFUSED]).cause


def test_what_was_refused_is_a_stall_until_something_newer_came() -> None:
    told = judge_notices("dataset scjg.enterprises", [REFUSED])

    assert (told.verdict, told.code, told.action) == (Verdict.STALLED, "source-refused", "write it again")
    assert told.cause == ("dataset scjg.enterprises: firms-1.csv was refused, and nothing newer came: it is empty")
    assert judge_notices("dataset scjg.enterprises", []).ok


def test_a_killed_worker_is_a_stall_only_when_nobody_has_its_lanes() -> None:
    dead = WorkerSeen(name="w1", silent_seconds=30.0, host="bus-1", pid=7)
    assert judge_worker(dead).code == "worker-silent"
    assert judge_worker(WorkerSeen(name="w1", silent_seconds=30.0, relieved=True)).ok
    assert judge_worker(WorkerSeen(name="w1", silent_seconds=3.0, state="stopped")).verdict is Verdict.STALLED
    assert judge_worker(WorkerSeen(name="w1", silent_seconds=3.0)).ok


def test_a_failed_lane_is_told_with_its_reason() -> None:
    told = judge_worker(
        WorkerSeen(
            name="w1", silent_seconds=3.0, host="bus-1", pid=7, failures={9: "KeyError", 4: "no committed offset"}
        )
    )

    assert (told.verdict, told.code) == (Verdict.FAILED, "lane-failed")
    assert told.cause == "lane 4 (and 1 more) of the worker on bus-1, process 7 fails: no committed offset"


def test_a_lane_that_opens_again_and_again_is_a_stall_with_its_reason() -> None:
    seen = WorkerSeen(name="w1", silent_seconds=3.0, host="bus-1", pid=7, waiting={4: "route: KafkaTimeoutError"})
    told = judge_worker(seen)

    assert (told.verdict, told.code) == (Verdict.STALLED, "lane-waiting")
    assert told.cause == "lane 4 of the worker on bus-1, process 7 cannot go on: route: KafkaTimeoutError"


def test_a_view_that_is_being_filled_is_well_and_says_how_far() -> None:
    told = judge_view("view.portal-person.v1", 0.4, exists=True)

    assert told.ok
    assert "40%" in told.cause
    assert judge_view("view.portal-person.v1", 1.0, exists=False).verdict is Verdict.FAILED


def test_a_view_to_which_workers_route_nothing_has_failed_and_says_what_it_lacks() -> None:
    told = judge_view("view.x.v1", 0.0, exists=True, unrouted=["there is no pseudonym key 'k'", "set K"])

    assert (told.verdict, told.code, told.action) == (Verdict.FAILED, "view-unrouted", "set K")
    assert told.cause == "nothing is routed to view.x.v1: there is no pseudonym key 'k'"


def portal(lag: int, waiting: float | None, unmoved: float) -> ReaderSeen:
    return ReaderSeen(topic="view.x.v1", group="portal", lag=lag, waiting_seconds=waiting, unmoved_seconds=unmoved)


@pytest.mark.parametrize(
    ("lag", "waiting", "unmoved", "code"),
    [
        (0, None, 900.0, ""),
        (5, 9.0, 9.0, ""),
        (5, 300.0, 2.0, ""),
        (5, 300.0, 6.0, "subscriber-silent"),
        (5, 12.0, 12.0, "subscriber-silent"),
        (5, None, 12.0, "subscriber-silent"),
        (20_000, 300.0, 2.0, "subscriber-behind"),
    ],
)
def test_a_subscriber_is_silent_when_old_records_wait_and_none_is_taken(
    lag: int, waiting: float | None, unmoved: float, code: str
) -> None:
    assert judge_subscription(Judged(), portal(lag, waiting, unmoved)).code == code


def test_a_silent_subscriber_is_told_with_the_age_of_what_waits_for_it_however_short_the_look() -> None:
    told = judge_subscription(Judged(), portal(5, 300.0, 6.0))

    assert told.verdict is Verdict.STALLED
    assert told.cause == "5 records wait for group portal, the oldest for 5 min, and none is taken"


def test_a_subscription_is_no_better_than_its_view() -> None:
    failed = judge_view("view.x.v1", 1.0, exists=False)
    assert judge_subscription(failed, portal(5, 300.0, 12.0)) == failed
    assert judge_subscription(Judged(), None).ok


def test_nothing_waits_for_a_subscriber_whose_subscription_has_ended() -> None:
    told = judge_ended(dt.date(2026, 6, 30))

    assert (told.verdict, told.code) == (Verdict.OK, "subscription-ended")
    assert "2026-06-30" in told.cause


def test_only_a_longer_look_tells_a_silent_subscriber_from_one_that_catches_up() -> None:
    assert is_subscription_undecided(portal(1, 300.0, 1.0))
    assert is_subscription_undecided(portal(1, None, 1.0)), "how old it is could not be read yet"
    assert not is_subscription_undecided(portal(1, 300.0, 6.0))
    assert not is_subscription_undecided(portal(1, 3.0, 1.0)), "what is young is no stall"
    assert not is_subscription_undecided(portal(0, None, 1.0))


def test_the_worst_of_several_verdicts_is_shown() -> None:
    stale, failed = Judged(verdict=Verdict.STALE), Judged(verdict=Verdict.FAILED, cause="first")

    assert worst([Judged(), stale, failed, Judged(verdict=Verdict.FAILED, cause="second")]) == failed
    assert worst([]).ok


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (119, "119 s"), (600, "10 min"), (86_400, "24 h"), (1e6, "12 d")]
)
def test_durations_as_people_say_them(seconds: float, text: str) -> None:
    assert span(seconds) == text
