"""Every principal is one subscriber or one adapter of one department, and none is the bus itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bus.catalogue.dataset import Dataset
from bus.catalogue.subscriber import Subscriber
from bus.credentials import SUPERUSER, adapter_principal
from bus.errors import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bus.catalogue.workspace import Workspace


def check(workspace: Workspace) -> Iterator[Finding]:
    """Principals that would have rights of another one."""
    yield from _subscribers(workspace)
    yield from _adapters(workspace)


def _subscribers(workspace: Workspace) -> Iterator[Finding]:
    first: dict[str, Subscriber] = {}
    for subscriber in workspace.all(Subscriber):
        principal = subscriber.principal
        where = workspace.where(subscriber, *_place(subscriber))
        if principal == SUPERUSER or principal.startswith(adapter_principal("")):
            yield Finding(
                f"the principal {principal!r} is the bus's own: {SUPERUSER!r} is itself, 'adapter.…' its adapters",
                where,
                "give the subscriber another `principal`",
            )
        other = first.setdefault(principal, subscriber)
        if other is not subscriber:
            yield Finding(
                f"subscribers {other.name} and {subscriber.name} have the same principal {principal!r}: each would read"
                " what the other may",
                where,
                "give each its own `principal`",
            )


def _place(subscriber: Subscriber) -> tuple[str, str]:
    return ("spec", "principal") if subscriber.spec.principal else ("metadata", "name")


def _adapters(workspace: Workspace) -> Iterator[Finding]:
    first: dict[str, Dataset] = {}
    for dataset in workspace.all(Dataset):
        config = dataset.spec.source.config
        other = first.setdefault(config, dataset)
        if other.spec.department != dataset.spec.department:
            yield Finding(
                f"the adapter {config!r} would publish for two departments, {other.spec.department} and"
                f" {dataset.spec.department}",
                workspace.where(dataset, "spec", "source", "config"),
                "an adapter instance is one department's: name another `config`",
            )
        if other.spec.source.adapter != dataset.spec.source.adapter:
            kinds = f"{other.spec.source.adapter!r} and {dataset.spec.source.adapter!r}"
            yield Finding(
                f"the adapter {config!r} would be of two kinds, {kinds}",
                workspace.where(dataset, "spec", "source", "adapter"),
                "an adapter instance is of one kind (`bus adapter list` shows them): mend it, or name another `config`",
            )
