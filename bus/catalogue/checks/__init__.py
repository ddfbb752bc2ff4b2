"""Checks across resources; each yields findings with file:line and never stops at the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bus.catalogue.checks import (
    codes,
    entities,
    golden,
    keys,
    mappings,
    principals,
    pseudonyms,
    references,
    scopes,
    topics,
    views,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bus.catalogue.workspace import Workspace
    from bus.errors import Finding

CHECKS = (
    references.check,
    entities.check,
    mappings.check,
    keys.check,
    scopes.check,
    codes.check,
    views.check,
    pseudonyms.check,
    topics.check,
    principals.check,
    golden.check,
)


def check_all(workspace: Workspace) -> Iterator[Finding]:
    """All findings of all checks."""
    for check in CHECKS:
        yield from check(workspace)
