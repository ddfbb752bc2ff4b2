"""Nobody gets what takes a pseudonym back: the field itself, it under another key, or another's pseudonyms.

Two views of an entity change at the same time: whoever gets both can tell which of their records are of one change.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from bus.catalogue import clock
from bus.catalogue.subscription import Subscription
from bus.catalogue.view import View
from bus.errors import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bus.catalogue.workspace import Workspace


class _Taken(NamedTuple):
    subscription: Subscription
    view: View

    def __str__(self) -> str:
        return f"view {self.view.name}.v{self.view.spec.revision} (subscription {self.subscription.name})"


def check(workspace: Workspace) -> Iterator[Finding]:
    """Warnings, of subscriptions that have neither ended nor been withdrawn."""
    views = {(view.name, view.spec.revision): view for view in workspace.all(View)}
    today = clock.now().date()
    taken = [
        _Taken(each, views[each.spec.view, each.spec.revision])
        for each in workspace.all(Subscription)
        if not each.spec.withdrawn and not each.has_ended(today) and (each.spec.view, each.spec.revision) in views
    ]
    yield from _taken_back(workspace, taken)
    yield from _shared_keys(workspace, taken)


def _taken_back(workspace: Workspace, taken: Sequence[_Taken]) -> Iterator[Finding]:
    """One for each field of an entity that a subscriber sees in several ways; a mask hides it in its own."""
    seen: dict[tuple[str, str, str], dict[str, _Taken]] = defaultdict(dict)
    for each in taken:
        spec = each.view.spec
        for name in set(spec.fields) - spec.masks.keys():
            ways = seen[each.subscription.spec.subscriber, spec.entity, name]
            ways.setdefault(spec.pseudonyms.get(name, ""), each)
    for (subscriber, entity, name), ways in sorted(seen.items()):
        keys = sorted(filter(None, ways))
        if not keys or len(ways) == 1:
            continue
        hidden, another = keys[0], "" if "" in ways else keys[1]
        how = f"under another key ({another!r}, not {hidden!r})" if another else "itself"
        yield Finding(
            f"subscriber {subscriber} gets {name!r} of {entity} as a pseudonym in {ways[hidden]}, and {how} in"
            f" {ways[another]}: it can tell which belong together, by when they change if by nothing else",
            workspace.where(ways[another].subscription, "spec", "view"),
            "withdraw one of the two, or use the same pseudonym in both, in a new revision",
            Severity.WARNING,
        )


def _shared_keys(workspace: Workspace, taken: Sequence[_Taken]) -> Iterator[Finding]:
    first: dict[str, _Taken] = {}
    told: set[tuple[str, str]] = set()
    for each in taken:
        subscriber = each.subscription.spec.subscriber
        for key in sorted(set(each.view.spec.pseudonyms.values())):
            one = first.setdefault(key, each)
            its = one.subscription.spec.subscriber
            if its == subscriber or one.view is each.view or (key, subscriber) in told:
                continue
            told.add((key, subscriber))
            yield Finding(
                f"the key {key!r} makes the pseudonyms of two subscribers, {its} in {one} and {subscriber} in {each}:"
                " what they got could be put together",
                workspace.where(each.view, "spec", "pseudonyms"),
                "give each subscriber a secret key of its own",
                Severity.WARNING,
            )
