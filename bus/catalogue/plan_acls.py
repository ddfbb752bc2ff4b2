"""Logins to make and rights to give or take, so that every principal of the workspace may do its own and no more.

Which rights the workspace gave is not written down anywhere that could be wrong: all that its principals have and its
resources do not call for are taken. A principal is known by the record of its subscriber or dataset, which is written
before it gets a right, and deleted after it lost the last.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from bus.catalogue.acls import by_principal, ended_acls, principals_of, wanted_acls
from bus.catalogue.actions import AllowAcls, CreateUser, DeleteUser, WithdrawAcls
from bus.catalogue.catalogue import Catalogue
from bus.catalogue.subscription import ACTIVE, Subscription
from bus.errors import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bus.catalogue.cluster_state import ClusterState
    from bus.catalogue.wanted import Wanted
    from bus.kafka.principals import Acl

EVERYBODY: Final = "*"
OPENING: Final = frozenset({"READ", "WRITE", "ALL", "ALTER", "DELETE"})
GUARDED: Final = ("_bus.", "_schemas", "raw.", "dlq.", "shared.", "view.")


def plan_acls(
    wanted: Wanted, state: ClusterState, bus_id: str
) -> tuple[list[WithdrawAcls | DeleteUser], list[CreateUser | AllowAcls], list[Finding]]:
    """What to do first, what to do last, and findings; nothing to do on a cluster that checks no ACLs."""
    findings = list(_expired(wanted, state))
    if not state.authorizer:
        return [], [], findings
    needed = principals_of(wanted.in_force())
    ours = principals_of([*wanted.resources(), *wanted.applied_before()])
    should = {acl for acl in wanted_acls(wanted, bus_id, state.today) if acl.principal in ours}
    has = {acl for acl in state.acls if acl.principal in ours}
    findings += _self_service(ours, state)
    findings += _open_to_everybody(state)
    first: list[WithdrawAcls | DeleteUser] = [
        WithdrawAcls(principal, acls) for principal, acls in by_principal(has - should)
    ]
    first += [DeleteUser(name) for name in sorted((ours - needed) & state.logins)]
    last: list[CreateUser | AllowAcls] = []
    missing = sorted(ours & needed - (state.users or frozenset()))
    if state.users is not None:
        last += [CreateUser(name) for name in missing]
    elif missing:
        findings.append(_no_users(missing))
    has -= _extended(wanted, bus_id, state.today)
    last += [AllowAcls(principal, acls) for principal, acls in by_principal(should - has)]
    return first, last, findings


def _extended(wanted: Wanted, bus_id: str, today: dt.date) -> set[Acl]:
    """Rights that the role `control` may take before the catalogue says that they are extended: they are given anew.

    Those of subscriptions that have ended are among them, and of those that end tonight.
    """
    tomorrow = today + dt.timedelta(days=1)
    return ended_acls(Catalogue.of(wanted.found), bus_id, tomorrow) & wanted_acls(wanted, bus_id, tomorrow)


def _expired(wanted: Wanted, state: ClusterState) -> Iterator[Finding]:
    for subscription in wanted.workspace.all(Subscription):
        if wanted.states[subscription.key] == ACTIVE and subscription.has_ended(state.today):
            held = "its subscriber may not read any more" if state.authorizer else "but the cluster checks no ACLs"
            yield Finding(
                f"subscription {subscription.name} ended on {subscription.spec.valid_until}: {held}",
                wanted.workspace.where(subscription, "spec", "valid_until"),
                "have it extended, or remove it",
                Severity.WARNING,
            )


def _self_service(ours: set[str], state: ClusterState) -> Iterator[Finding]:
    """The bus's own login is nobody's principal: its rights would be cut down to a subscriber's."""
    if state.login in ours:
        yield Finding(
            f"the principal {state.login!r} is the login that the bus itself has on this cluster",
            state.login,
            "give the subscriber another `principal`, or log in as another user",
        )


def _open_to_everybody(state: ClusterState) -> Iterator[Finding]:
    for acl in sorted(state.acls):
        if acl.principal == EVERYBODY and acl.kind == "topic" and acl.operation in OPENING and _touches(acl):
            yield Finding(
                f"by an ACL of the cluster everybody may {acl.operation} topic {acl.name}{'*' if acl.prefixed else ''}",
                acl.name,
                "delete that ACL of User:*, or nobody is held to his own views",
                Severity.WARNING,
            )


def _touches(acl: Acl) -> bool:
    if acl.name == EVERYBODY and not acl.prefixed:
        return True
    return acl.name.startswith(GUARDED) or (acl.prefixed and any(word.startswith(acl.name) for word in GUARDED))


def _no_users(names: list[str]) -> Finding:
    return Finding(
        f"the cluster keeps no SCRAM users; whether these can log in is not known here: {', '.join(names)}",
        fix="make them by the cluster's own means, under these names",
        severity=Severity.WARNING,
    )
