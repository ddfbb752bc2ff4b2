"""Which rights a workspace calls for, and what a plan does about those that are there."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bus.catalogue.acl_text import in_words
from bus.catalogue.acls import wanted_acls
from bus.catalogue.actions import AllowAcls, CreateUser, DeleteRecord, DeleteUser, PutRecord, WithdrawAcls
from bus.catalogue.cluster_state import ClusterState
from bus.catalogue.plan import Limits, Plan, plan
from bus.catalogue.plan_text import plan_lines
from bus.catalogue.wanted import Wanted
from bus.catalogue.workspace import Workspace
from bus.kafka.principals import Acl
from bus.testing.guarded import starter_with_more

if TYPE_CHECKING:
    from pathlib import Path

TODAY = dt.date(2026, 7, 1)
GUARDED = ClusterState(authorizer=True, users=frozenset({"bus"}), login="bus", today=TODAY)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The workspace of `bus init` with a second subscriber, `tax`, and a second department that publishes."""
    return starter_with_more(tmp_path / "workspace")


def after(made: Plan, before: ClusterState, *, done: int | None = None) -> ClusterState:
    """Rights, logins and records when the first so many actions of a plan are done."""
    acls, users, logins = set(before.acls), set(before.users or ()), set(before.logins)
    records = dict(before.records)
    for action in made.actions[:done]:
        match action:
            case WithdrawAcls(_, gone):
                acls -= set(gone)
            case AllowAcls(_, new):
                acls |= set(new)
            case CreateUser(name):
                users.add(name)
                logins.add(name)
            case DeleteUser(name):
                users.discard(name)
                logins.discard(name)
            case PutRecord(key, record, _):
                records[key] = record.encode()
            case DeleteRecord(key, _):
                records.pop(key)
    return replace(before, acls=frozenset(acls), users=frozenset(users), logins=frozenset(logins), records=records)


def access(made: Plan) -> list[str]:
    """The lines of a plan that are about logins and rights."""
    kinds = (AllowAcls, WithdrawAcls, CreateUser, DeleteUser)
    return [f"{action.sign} {action}" for action in made.actions if isinstance(action, kinds)]


def edit(folder: Path, old: str, new: str, file: str = "more.yaml") -> None:
    text = (folder / file).read_text("utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new), "utf-8")


def test_a_subscriber_and_an_adapter_get_their_own_and_no_more(folder: Path) -> None:
    workspace = Workspace.load(folder)
    acls = wanted_acls(Wanted.of(workspace, GUARDED), "city", TODAY)
    assert {acl for acl in acls if acl.principal in ("portal", "adapter.zwfw-front")} == {
        Acl("portal", "READ", "topic", "view.portal-company.v1"),
        Acl("portal", "READ", "group", "portal"),
        Acl("portal", "READ", "group", "portal.", prefixed=True),
        Acl("adapter.zwfw-front", "READ", "topic", "raw.zwfw.visits"),
        Acl("adapter.zwfw-front", "WRITE", "topic", "raw.zwfw.visits"),
        Acl("adapter.zwfw-front", "WRITE", "topic", "dlq.zwfw.visits"),
        Acl("adapter.zwfw-front", "READ", "topic", "_bus.positions.zwfw"),
        Acl("adapter.zwfw-front", "WRITE", "topic", "_bus.positions.zwfw"),
        Acl("adapter.zwfw-front", "READ", "topic", "_bus.catalogue"),
        Acl("adapter.zwfw-front", "WRITE", "transactional_id", "city.adapter.zwfw-front"),
    }


def test_a_plan_tells_logins_and_rights_in_words(folder: Path) -> None:
    assert access(plan(Workspace.load(folder), GUARDED)) == [
        "+ login adapter.scjg: its password will be in credentials/adapter.scjg.env",
        "+ login adapter.zwfw-front: its password will be in credentials/adapter.zwfw-front.env",
        "+ login portal: its password will be in credentials/portal.env",
        "+ login tax: its password will be in credentials/tax.env",
        (
            "+ adapter.scjg may read _bus.catalogue; read and write _bus.positions.scjg, raw.scjg.companies;"
            " write dlq.scjg.companies; write in transactions of shuniu.adapter.scjg"
        ),
        (
            "+ adapter.zwfw-front may read _bus.catalogue; read and write _bus.positions.zwfw, raw.zwfw.visits;"
            " write dlq.zwfw.visits; write in transactions of shuniu.adapter.zwfw-front"
        ),
        "+ portal may consume in group portal, portal.*; read view.portal-company.v1",
        "+ tax may consume in group tax, tax.*; read view.portal-company.v1, view.tax-company.v1",
    ]


def test_a_right_from_one_host_or_of_another_kind_is_told_too() -> None:
    acls = [Acl("x", "ALL", "topic", "*", host="10.0.0.1"), Acl("x", "ALTER", "cluster", "kafka-cluster")]
    assert in_words(acls) == "ALL on topic * (from 10.0.0.1); ALTER on cluster kafka-cluster"


def test_a_second_plan_has_nothing_to_give_or_take(folder: Path) -> None:
    workspace = Workspace.load(folder)
    assert access(plan(workspace, after(plan(workspace, GUARDED), GUARDED))) == []


def test_rights_are_taken_before_anything_else_and_given_after_the_catalogue(folder: Path) -> None:
    applied = after(plan(Workspace.load(folder), GUARDED), GUARDED)
    edit(folder, "view: tax-company", "view: portal-company")
    edit(folder, "valid_until: 2099-12-31", "valid_until: 2020-12-31", "portal/portal.yaml")
    made = plan(Workspace.load(folder), applied)
    assert isinstance(made.actions[0], WithdrawAcls)
    first = plan(Workspace.load(folder), GUARDED)
    last_record = max(n for n, action in enumerate(first.actions) if isinstance(action, PutRecord))
    given = [n for n, action in enumerate(first.actions) if isinstance(action, CreateUser | AllowAcls)]
    assert min(given) > last_record


def test_a_plan_cut_short_anywhere_is_never_more_open_and_ends_right(folder: Path) -> None:
    """From both subscribers to one and back, cut after every single action."""
    both = after(plan(Workspace.load(folder), GUARDED), GUARDED)
    text = (folder / "more.yaml").read_text("utf-8")
    (folder / "more.yaml").write_text(text.partition("kind: Subscriber")[0].rstrip().removesuffix("---"), "utf-8")
    one = after(plan(Workspace.load(folder), both), both)
    assert "tax" not in {acl.principal for acl in one.acls}
    assert "tax" not in (one.users or ())
    for start, end in ((both, one), (one, both)):
        if end is both:
            (folder / "more.yaml").write_text(text, "utf-8")
        whole = plan(Workspace.load(folder), start)
        for done in range(len(whole.actions)):
            cut = after(whole, start, done=done)
            assert cut.acls <= start.acls | end.acls
            mended = after(plan(Workspace.load(folder), cut), cut)
            assert (mended.acls, mended.users, mended.logins) == (end.acls, end.users, end.logins)


def test_a_cut_plan_that_is_given_up_leaves_no_right_behind(folder: Path) -> None:
    """The subscriber is added, the plan is cut anywhere, and then the subscriber is removed again."""
    text = (folder / "more.yaml").read_text("utf-8")
    less = text.partition("kind: Subscriber")[0].rstrip().removesuffix("---")
    (folder / "more.yaml").write_text(less, "utf-8")
    without = after(plan(Workspace.load(folder), GUARDED), GUARDED)
    (folder / "more.yaml").write_text(text, "utf-8")
    adding = plan(Workspace.load(folder), without)
    (folder / "more.yaml").write_text(less, "utf-8")
    for done in range(len(adding.actions) + 1):
        cut = after(adding, without, done=done)
        end = after(plan(Workspace.load(folder), cut), cut)
        assert (end.acls, end.users, end.logins) == (without.acls, without.users, without.logins)


def test_a_subscription_ends_with_its_last_day(folder: Path) -> None:
    edit(folder, "valid_until: 2099-12-31", "valid_until: 2026-07-01", "portal/portal.yaml")
    today = plan(Workspace.load(folder), GUARDED)
    assert "+ portal may consume in group portal, portal.*; read view.portal-company.v1" in access(today)
    tomorrow = plan(Workspace.load(folder), replace(after(today, GUARDED), today=TODAY + dt.timedelta(days=1)))
    assert access(tomorrow) == ["- portal may no longer consume in group portal, portal.*; read view.portal-company.v1"]
    assert "subscription portal-company ended on 2026-07-01" in "\n".join(plan_lines(tomorrow))


def test_a_subscription_that_has_ended_already_is_not_called_active(folder: Path) -> None:
    edit(folder, "valid_until: 2099-12-31", "valid_until: 2026-07-01", "portal/portal.yaml")
    made = plan(Workspace.load(folder), replace(GUARDED, today=TODAY + dt.timedelta(days=1)))
    assert "  + catalogue Subscription/portal-company: generation 1, ended" in list(plan_lines(made))


def test_what_the_workspace_does_not_own_is_left_alone(folder: Path) -> None:
    workspace = Workspace.load(folder)
    applied = after(plan(workspace, GUARDED), GUARDED)
    foreign = Acl("payroll", "READ", "topic", "salaries")
    extra = Acl("tax", "READ", "topic", "shared.enterprise.company")
    made = plan(workspace, replace(applied, acls=applied.acls | {foreign, extra}))
    assert access(made) == ["- tax may no longer read shared.enterprise.company"]


def test_a_login_whose_file_is_elsewhere_is_left_to_its_keeper(folder: Path) -> None:
    applied = after(plan(Workspace.load(folder), GUARDED), GUARDED)
    text = (folder / "more.yaml").read_text("utf-8")
    (folder / "more.yaml").write_text(text.partition("kind: Subscriber")[0].rstrip().removesuffix("---"), "utf-8")
    made = plan(Workspace.load(folder), replace(applied, logins=frozenset()))
    assert [line for line in access(made) if "login" in line] == []
    assert "- tax may no longer consume in group tax" in access(made)[0]


def test_a_cluster_without_an_authorizer_gets_no_logins(folder: Path) -> None:
    assert access(plan(Workspace.load(folder), ClusterState(today=TODAY))) == []


def test_a_cluster_without_scram_users_is_told_who_must_be_there(folder: Path) -> None:
    made = plan(Workspace.load(folder), replace(GUARDED, users=None))
    assert [line for line in access(made) if "login" in line] == []
    assert "adapter.scjg, adapter.zwfw-front, portal, tax" in "\n".join(plan_lines(made))
    assert not made.refusals


def test_the_login_of_the_bus_itself_is_nobodys_principal(folder: Path) -> None:
    made = plan(Workspace.load(folder), replace(GUARDED, login="tax"))
    [refusal] = made.refusals
    assert "the principal 'tax' is the login that the bus itself has" in str(refusal)


@pytest.mark.parametrize(
    ("acl", "warned"),
    [
        (Acl("*", "READ", "topic", "*"), True),
        (Acl("*", "ALL", "topic", "view.", prefixed=True), True),
        (Acl("*", "WRITE", "topic", "raw.scjg.companies"), True),
        (Acl("*", "READ", "topic", "", prefixed=True), True),
        (Acl("*", "DESCRIBE", "topic", "*"), False),
        (Acl("*", "READ", "topic", "weather"), False),
        (Acl("*", "READ", "group", "*"), False),
    ],
)
def test_an_acl_that_opens_the_bus_to_everybody_is_told(folder: Path, acl: Acl, warned: bool) -> None:
    made = plan(Workspace.load(folder), replace(GUARDED, acls=frozenset({acl})), Limits())
    assert ("by an ACL of the cluster everybody may" in "\n".join(plan_lines(made))) is warned
