"""Codes that a mapping names are in their list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bus.catalogue.codelist import CodeList
from bus.catalogue.mapping import CodeMap, Mapping
from bus.errors import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bus.catalogue.workspace import Workspace


def check(workspace: Workspace) -> Iterator[Finding]:
    """Map targets, defaults and constants that their code list does not have."""
    lists = workspace.named(CodeList)
    for codelist in lists.values():
        yield from _twice(workspace, codelist)
    for mapping in workspace.all(Mapping):
        for name, rule in mapping.spec.fields.items():
            codelist_or_none = lists.get(rule.codes.list) if rule.codes else None
            if rule.codes is None or codelist_or_none is None:
                continue
            where = workspace.where(mapping, "spec", "fields", name, "codes", "map")
            for code in _missing(rule.codes, codelist_or_none):
                yield Finding(f"code {code!r} is not in the list {rule.codes.list}", where, _fix(codelist_or_none))
            allowed = codelist_or_none.names()
            results = set(allowed.values()) if rule.codes.to == "name" else set(allowed)
            if rule.default is not None and rule.default not in results:
                yield Finding(
                    f"default {rule.default!r} is not in the list {rule.codes.list}",
                    workspace.where(mapping, "spec", "fields", name, "default"),
                    _fix(codelist_or_none),
                )


def _missing(codes: CodeMap, codelist: CodeList) -> list[str]:
    names = codelist.names()
    return sorted({code for code in (codes.map or {}).values() if code not in names})


def _twice(workspace: Workspace, codelist: CodeList) -> Iterator[Finding]:
    codes = [code.code for code in codelist.spec.codes]
    for code in sorted({code for code in codes if codes.count(code) > 1} if len(codes) != len(set(codes)) else ()):
        yield Finding(f"code {code!r} is there twice", workspace.where(codelist, "spec", "codes"))


def _fix(codelist: CodeList) -> str:
    codes = [code.code for code in codelist.spec.codes]
    return f"it has {', '.join(codes[:10])}{' …' if len(codes) > 10 else ''}"
