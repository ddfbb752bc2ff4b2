from __future__ import annotations

from dataclasses import replace

import pytest

from bus.console.problems import lasting, problems
from bus.console.totals import Trend, percentile, totals
from bus.control.health import SubscriberHealth, Verdict
from tests.made_up_city import city, every_verdict, judged, silent_adapter, stale


def test_nobody_is_needed_where_all_is_well() -> None:
    assert problems(city(6), {}) == ()


def test_a_dead_adapter_is_one_problem_with_all_that_it_touches() -> None:
    health = silent_adapter(city(60), 2)
    (found,) = problems(health, {})
    assert (found.origin.kind, found.origin.name) == ("adapter", "minzheng")
    assert {each.name for each in found.affected} == {
        each.name for each in health.datasets if each.adapter == "minzheng"
    }
    assert found.contacts == health.departments[2].contacts


def test_two_dead_adapters_are_two_problems() -> None:
    health = silent_adapter(silent_adapter(city(6), 0), 1)
    assert [each.origin.name for each in problems(health, {})] == ["gongan", "scjg"]


def test_the_worst_comes_first() -> None:
    found = problems(every_verdict(), {})
    assert [each.judged.verdict for each in found] == [Verdict.FAILED, Verdict.STALLED, Verdict.STALE, Verdict.PAUSED]


def test_a_problem_is_known_again_while_its_sentence_counts_on() -> None:
    first = problems(silent_adapter(city(3, now=1_000.0), 1, seconds=30.0), {})
    second = problems(silent_adapter(city(3, now=1_060.0), 1, seconds=90.0), lasting(first))
    assert first[0].judged.cause != second[0].judged.cause
    assert second[0].since == 1_000.0


def test_a_problem_that_comes_back_begins_anew() -> None:
    first = problems(silent_adapter(city(3, now=1_000.0), 1), {})
    healed = problems(city(3, now=1_010.0), lasting(first))
    again = problems(silent_adapter(city(3, now=1_020.0), 1), lasting(healed))
    assert again[0].since == 1_020.0


def test_a_subscriber_with_a_verdict_of_its_own_is_a_problem() -> None:
    health = city(3)
    late = replace(health.subscribers[0], verdict=Verdict.STALLED, code="subscriber-silent", cause="took none")
    assert isinstance(late, SubscriberHealth)
    (found,) = problems(replace(health, subscribers=(late, *health.subscribers[1:])), {})
    assert found.origin.kind == "subscriber"


def test_totals_count_datasets_past_their_promise() -> None:
    seen = totals(stale(silent_adapter(city(12), 2), 1))
    assert (seen.punctual, seen.datasets) == (11, 12)
    assert (seen.adapters, seen.workers) == ((11, 12), (1, 1))
    assert seen.received == pytest.approx(sum(each.rate for each in city(12).datasets))


@pytest.mark.parametrize(("values", "expected"), [([], None), ([3.0], 3.0), ([1.0, 2.0], 2.0)])
def test_percentiles_of_few(values: list[float], expected: float | None) -> None:
    assert percentile(values, 0.95) == expected


def test_the_95th_percentile_leaves_the_slowest_5_of_100_out() -> None:
    assert percentile([float(each) for each in range(100, 0, -1)], 0.95) == 95.0


def test_the_trend_forgets_what_is_older_than_ten_minutes() -> None:
    trend, seen = Trend(), totals(city(3))
    for second in range(0, 1_000, 100):
        trend.add(float(second), seen)
    assert [point[0] for point in trend.as_json()] == [300.0, 400.0, 500.0, 600.0, 700.0, 800.0, 900.0]


def test_a_paused_dataset_is_told_with_its_next_action() -> None:
    paused = replace(city(3).datasets[0], verdict=Verdict.PAUSED, code="x", cause="by hand", action="resume it")
    (found,) = problems(judged(city(3), 0, paused), {})
    assert (found.judged.cause, found.judged.action) == ("by hand", "resume it")


def test_a_subscriber_that_takes_nothing_is_one_problem_however_many_views_it_receives() -> None:
    health = city(12)
    place = next(n for n, each in enumerate(health.subscribers) if len(each.subscriptions) > 1)
    receiver = health.subscribers[place]
    late = tuple(
        replace(each, verdict=Verdict.STALLED, code="subscriber-silent", cause=f"{n} records wait")
        for n, each in enumerate(receiver.subscriptions)
    )
    silent = replace(receiver, subscriptions=late, verdict=Verdict.STALLED, code=late[0].code, cause=late[0].cause)
    (found,) = problems(
        replace(health, subscribers=(*health.subscribers[:place], silent, *health.subscribers[place + 1 :])), {}
    )
    assert (found.origin.kind, found.origin.name) == ("subscriber", receiver.name)
    assert {each.name for each in found.affected} == {each.name for each in late}
