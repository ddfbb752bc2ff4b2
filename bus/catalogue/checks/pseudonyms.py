"""Whoever sees a field as a pseudonym sees it nowhere else: by their times the changes of two views can be joined."""

from __future__ import annotations

from collections import defaultdict
from itertools import permutations
from typing import TYPE_CHECKING

from bus.catalogue.subscription import Subscription
from bus.catalogue.view import View
from bus.errors import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bus.catalogue.workspace import Workspace


def check(workspace: Workspace) -> Iterator[Finding]:
    """Warnings of subscribers who could take a pseudonym back."""
    views = {(view.name, view.spec.revision): view for view in workspace.all(View)}
    seen: dict[tuple[str, str], list[tuple[Subscription, View]]] = defaultdict(list)
    for subscription in workspace.all(Subscription):
        view = views.get((subscription.spec.view, subscription.spec.revision))
        if view is not None and not subscription.spec.withdrawn:
            seen[subscription.spec.subscriber, view.spec.entity].append((subscription, view))
    for (subscriber, entity), theirs in seen.items():
        for (subscription, hiding), (_, showing) in permutations(theirs, 2):
            for name in sorted(
                hiding.spec.pseudonyms.keys() & (set(showing.spec.fields) - showing.spec.pseudonyms.keys())
            ):
                yield Finding(
                    f"subscriber {subscriber} sees {name!r} of {entity} as a pseudonym in view {hiding.name}, and"
                    f" itself in view {showing.name}: by the time of changes it can tell whose pseudonym is whose",
                    workspace.where(subscription, "spec", "view"),
                    "withdraw one of the two, or use the same pseudonym in both",
                    Severity.WARNING,
                )
