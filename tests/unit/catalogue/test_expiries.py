"""Which rights end by themselves, and when."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bus.catalogue import clock
from bus.catalogue.acls import ended_acls, wanted_acls
from bus.catalogue.actions import AllowAcls, PutRecord, WithdrawAcls
from bus.catalogue.catalogue import Catalogue
from bus.catalogue.cluster_state import ClusterState
from bus.catalogue.plan import plan
from bus.catalogue.record import CatalogueRecord
from bus.catalogue.subscription import Subscription
from bus.catalogue.workspace import Workspace
from bus.kafka.principals import Acl
from bus.testing.guarded import SHARED_VIEW, SUBSCRIPTION, TAX_VIEW, starter_with_more

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bus.catalogue.plan import Plan

LAST_DAY = dt.date(2026, 7, 1)
NEXT_DAY = dt.date(2026, 7, 2)
GUARDED = ClusterState(authorizer=True, users=frozenset({"bus"}), login="bus", today=LAST_DAY)
TAX_GROUPS = {Acl("tax", "READ", "group", "tax"), Acl("tax", "READ", "group", "tax.", prefixed=True)}


class City:
    """A workspace folder, and the catalogue that it gives once it is applied."""

    def __init__(self, folder: Path) -> None:
        self.folder = starter_with_more(folder)
        self.state = GUARDED

    def until(self, *ends: tuple[str, str]) -> City:
        """Let `tax` have these views, each until a day, and nothing else."""
        file = self.folder / "more.yaml"
        text = file.read_text("utf-8").partition("---\nkind: Subscription")[0].rstrip() + "\n"
        for view, end in ends:
            text += SUBSCRIPTION.format(subscriber="tax", view=view, until=end)
        file.write_text(text, "utf-8")
        return self

    def plan(self) -> Plan:
        return plan(Workspace.load(self.folder), self.state)

    def apply(self) -> City:
        """Do a plan's work on rights and records."""
        acls, records = set(self.state.acls), dict(self.state.records)
        for action in self.plan().actions:
            match action:
                case WithdrawAcls(_, gone):
                    acls -= set(gone)
                case AllowAcls(_, new):
                    acls |= set(new)
                case PutRecord(key, record, _):
                    records[key] = record.encode()
        self.state = replace(self.state, acls=frozenset(acls), records=records)
        return self

    def catalogue(self) -> Catalogue:
        return Catalogue.from_records(self.state.records)

    def ended(self, today: dt.date) -> set[Acl]:
        return ended_acls(self.catalogue(), "shuniu", today)


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City(tmp_path / "workspace")


def read(view: str) -> Acl:
    return Acl("tax", "READ", "topic", view)


def test_a_subscription_ends_when_its_last_day_is_over(city: City) -> None:
    city.until(("portal-company", "2026-07-01"), ("tax-company", "2026-07-02")).apply()
    assert city.ended(LAST_DAY) == set()
    assert city.ended(NEXT_DAY) == {read(SHARED_VIEW)}
    assert city.ended(dt.date(2026, 7, 3)) == {read(SHARED_VIEW), read(TAX_VIEW), *TAX_GROUPS}


def test_groups_stay_while_another_subscription_of_the_subscriber_lasts(city: City) -> None:
    city.until(("portal-company", "2026-07-01"), ("tax-company", "2099-12-31")).apply()
    assert not city.ended(NEXT_DAY) & TAX_GROUPS


def test_another_subscriber_of_the_same_view_keeps_it(city: City) -> None:
    city.until(("portal-company", "2026-07-01")).apply()
    ended = city.ended(NEXT_DAY)
    assert ended == {read(SHARED_VIEW), *TAX_GROUPS}
    assert Acl("portal", "READ", "topic", SHARED_VIEW) in city.state.acls - ended


def test_of_two_subscriptions_to_one_view_the_later_end_counts(city: City) -> None:
    city.until(("portal-company", "2026-07-01")).apply()
    key = "Subscription/tax-portal-company"
    other = CatalogueRecord.decode(key, city.state.records[key])
    assert isinstance(other.resource, Subscription)
    spec = other.resource.spec.model_copy(update={"valid_until": dt.date(2026, 7, 9)})
    name = other.resource.metadata.model_copy(update={"name": "tax-again"})
    again = replace(
        other, resource=other.resource.model_copy(update={"metadata": name, "spec": spec}), managed_by="elsewhere"
    )
    city.state = replace(city.state, records={**city.state.records, again.resource.key: again.encode()})
    assert city.ended(NEXT_DAY) == set()
    assert city.ended(dt.date(2026, 7, 10)) == {read(SHARED_VIEW), *TAX_GROUPS}


@pytest.mark.parametrize("state", ["requested", "withdrawn", "revoked"])
def test_one_that_is_not_active_gives_nothing_that_could_end(city: City, state: str) -> None:
    city.until(("portal-company", "2026-07-01")).apply()
    key = "Subscription/tax-portal-company"
    record = replace(CatalogueRecord.decode(key, city.state.records[key]), status={"state": state})
    city.state = replace(city.state, records={**city.state.records, key: record.encode()})
    assert city.ended(NEXT_DAY) == set()


def test_a_subscriber_that_the_catalogue_does_not_know_has_nothing_to_lose(city: City) -> None:
    city.until(("portal-company", "2026-07-01")).apply()
    records = {key: value for key, value in city.state.records.items() if key != "Subscriber/tax"}
    assert ended_acls(Catalogue.from_records(records), "shuniu", NEXT_DAY) == set()


def test_what_has_ended_is_what_the_next_plan_would_take(city: City) -> None:
    city.until(("portal-company", "2026-07-01"), ("tax-company", "2099-12-31")).apply()
    city.state = replace(city.state, today=NEXT_DAY)
    assert taken(city.plan()) == city.ended(NEXT_DAY)


def test_the_catalogue_calls_for_what_its_workspace_called_for(city: City) -> None:
    city.apply()
    assert wanted_acls(city.catalogue(), "shuniu", LAST_DAY) == city.state.acls


def given(made: Plan) -> set[Acl]:
    return {acl for action in made.actions if isinstance(action, AllowAcls) for acl in action.acls}


def taken(made: Plan) -> set[Acl]:
    return {acl for action in made.actions if isinstance(action, WithdrawAcls) for acl in action.acls}


@pytest.mark.parametrize("today", [LAST_DAY, NEXT_DAY])
def test_a_plan_that_extends_gives_anew_what_may_be_taken_meanwhile(city: City, today: dt.date) -> None:
    """Control sees the old date until the plan was applied: it may take rights that the plan has seen."""
    city.until(("portal-company", "2026-07-01"), ("tax-company", "2099-12-31")).apply()
    city.state = replace(city.state, today=today)
    city.until(("portal-company", "2026-09-30"), ("tax-company", "2099-12-31"))
    made = city.plan()
    assert given(made) == {read(SHARED_VIEW)}
    assert taken(made) == set()
    again = city.apply().plan()
    assert (given(again), taken(again)) == (set(), set())


def test_a_plan_on_the_last_day_neither_gives_nor_takes(city: City) -> None:
    made = city.until(("portal-company", "2026-07-01")).apply().plan()
    assert (given(made), taken(made)) == (set(), set())


def test_an_end_that_is_far_is_extended_without_a_word_about_rights(city: City) -> None:
    city.until(("portal-company", "2026-08-01")).apply()
    city.until(("portal-company", "2026-09-30"))
    assert given(city.plan()) == set()


@pytest.fixture
def suzhou(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("suzhou")
def test_a_day_ends_at_midnight_where_the_bus_runs() -> None:
    moment = dt.datetime(2026, 7, 1, 15, 59, 30, tzinfo=dt.UTC).astimezone()
    assert moment.date() == LAST_DAY
    assert clock.next_day(moment) == dt.datetime(2026, 7, 1, 16, 0, tzinfo=dt.UTC)
    assert clock.next_day(moment).date() == NEXT_DAY
    assert clock.now().utcoffset() == dt.timedelta(hours=8)
