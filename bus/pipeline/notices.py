"""What an adapter says that a person must see to (`Adapter.notices`), as its heartbeats carry it: few and short."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any, Final

from bus.errors import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Told = dict[str, list[dict[str, str]]]
"""Dataset → its notices, as JSON."""

MOST: Final = 50
"""Notices of a heartbeat; the first of every dataset goes before the second of any."""

MOST_OF_ONE: Final = 10
"""Notices of a dataset."""

LONGEST: Final = 600
"""Characters of a text. So a heartbeat stays below Kafka's 1 MB for a record, whatever stands in them."""

_UNSEEN: Final = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories: controls, formats (which turn the direction of writing), surrogates, line and paragraph ends."""


def to_json(notices: Mapping[str, Sequence[Finding]]) -> Told:
    """Notices by dataset, for a heartbeat: what waits goes before what was left out."""
    ordered = {dataset: sorted(each, key=_weight)[:MOST_OF_ONE] for dataset, each in notices.items()}
    places = sorted((place, dataset) for dataset, each in ordered.items() for place in range(len(each)))
    found: Told = {}
    for place, dataset in places[:MOST]:
        found.setdefault(dataset, []).append(_as_json(ordered[dataset][place]))
    return found


def from_json(value: object, dataset: str) -> tuple[Finding, ...]:
    """A dataset's notices in what a heartbeat says, in their order; what is said in another form is left out."""
    notices = value.get(dataset) if isinstance(value, dict) else None
    said = notices if isinstance(notices, list) else []
    return tuple(_finding(each) for each in said[:MOST_OF_ONE] if isinstance(each, dict) and _text(each.get("message")))


def _weight(notice: Finding) -> bool:
    return notice.severity is not Severity.ERROR


def _as_json(notice: Finding) -> dict[str, str]:
    texts = {"message": notice.message, "where": notice.where, "fix": notice.fix}
    return {**{name: _text(text) for name, text in texts.items()}, "severity": str(notice.severity)}


def _finding(said: Mapping[str, Any]) -> Finding:
    severity = Severity.WARNING if said.get("severity") == Severity.WARNING else Severity.ERROR
    return Finding(_text(said["message"]), _text(said.get("where")), _text(said.get("fix")), severity)


def _text(said: object) -> str:
    """One line of bounded length; a file's name may hold anything, also what would command a terminal."""
    text = said if isinstance(said, str) else ""
    return "".join("?" if unicodedata.category(sign) in _UNSEEN else sign for sign in text[:LONGEST])
