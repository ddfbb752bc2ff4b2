"""ACLs in words: what a principal may do, one phrase for each kind of right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bus.kafka.principals import Acl

_VERBS: Final[Mapping[tuple[str, frozenset[str]], str]] = {
    ("topic", frozenset({"READ"})): "read",
    ("topic", frozenset({"WRITE"})): "write",
    ("topic", frozenset({"READ", "WRITE"})): "read and write",
    ("group", frozenset({"READ"})): "consume in group",
    ("transactional_id", frozenset({"WRITE"})): "write in transactions of",
}


def in_words(acls: Iterable[Acl]) -> str:
    """`read view.portal-person.v1; consume in group portal, portal.*`."""
    operations: dict[tuple[str, str], set[str]] = {}
    for acl in sorted(acls):
        operations.setdefault((acl.kind, _named(acl)), set()).add(acl.operation)
    phrases: dict[str, list[str]] = {}
    for (kind, name), together in operations.items():
        phrases.setdefault(_verb(kind, frozenset(together)), []).append(name)
    return "; ".join(f"{verb} {', '.join(names)}" for verb, names in phrases.items())


def _verb(kind: str, operations: frozenset[str]) -> str:
    return _VERBS.get((kind, operations)) or f"{' and '.join(sorted(operations))} on {kind}"


def _named(acl: Acl) -> str:
    host = "" if acl.host == "*" else f" (from {acl.host})"
    return f"{acl.name}{'*' if acl.prefixed else ''}{host}"
