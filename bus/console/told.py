"""A verdict's cause and action in the reader's language: by its code and the part's own fields, else as it was said."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from bus.control.health import AdapterHealth, DatasetHealth, WorkerHealth

if TYPE_CHECKING:
    from bus.console.language import Language
    from bus.control.health import BusHealth, Judged, LatestReject
    from bus.errors import BusError


@dataclass(frozen=True, slots=True)
class Told:
    """Cause and action, to be shown."""

    cause: str
    action: str


def tell(judged: Judged, health: BusHealth, language: Language) -> Told:
    """What is the matter with a part, and what to do."""
    source = _source(judged, health)
    facts = _facts(source, health, language) if source is not None else {}
    return Told(
        language.find("cause", judged.code, facts) or judged.cause,
        language.find("action", judged.code, facts) or judged.action,
    )


def tell_reject(reject: LatestReject, language: Language) -> str:
    """Why a record was rejected."""
    return language.find("rule", reject.rule, {}) or reject.reason


def _source(judged: Judged, health: BusHealth) -> Judged | None:
    """The part whose fields the sentence speaks of: the first that bears it, in the order of the flow."""
    subscriptions = [each for subscriber in health.subscribers for each in subscriber.subscriptions]
    every = (*health.adapters, *health.workers, *health.datasets, *health.entities, *health.views, *subscriptions)
    same = (judged.code, judged.cause)
    return next((part for part in every if (part.code, part.cause) == same), None)


def _facts(part: Judged, health: BusHealth, language: Language) -> dict[str, Any]:
    facts: dict[str, Any] = {each.name: getattr(part, each.name) for each in fields(part)}
    for name, field in (("waiting", "waiting_seconds"), ("age", "freshness_seconds"), ("promise", "promise_seconds")):
        facts[name] = language.span(facts[field]) if facts.get(field) is not None else None
    if facts.get("lag") is not None:
        facts["lag"] = language.number(facts["lag"])
    if facts.get("filled") is not None:
        facts["filled"] = language.share(facts["filled"])
    if isinstance(part, (AdapterHealth, WorkerHealth)) and part.heard is not None:
        facts["silent"] = language.span(health.time - part.heard)
    if isinstance(part, WorkerHealth):
        for name, told in (("failures", part.failures), ("reasons", part.waiting)):
            facts[name] = "; ".join(f"{lane}: {why}" for lane, why in sorted(told.items()))
    facts["title"] = facts.get("title") or facts.get("name")
    if isinstance(part, DatasetHealth):
        facts |= _noticed(part, language)
        owner = next((each for each in health.departments if each.name == part.department), None)
        facts["owner"] = owner and "、".join([owner.title or owner.name, *owner.contacts[:1]])
    return facts


def _noticed(part: DatasetHealth, language: Language) -> dict[str, str]:
    """The first of its notices, of which its verdict speaks."""
    if not part.notices:
        return {}
    first = part.notices[0]
    same = sum(each.severity is first.severity for each in part.notices)
    more = f" {language.text('needs.and_more', count=same)}" if same > 1 else ""
    return {"place": first.where + more, "message": language.say(first.message), "fix": language.say(first.fix)}


def tell_error(error: BusError, language: Language) -> Told:
    """Why the bus is not seen."""
    name, facts = type(error).__name__, {"where": error.where, "detail": error.detail}
    plain = f"{error.summary} ({error.where})" if error.where else error.summary
    return Told(
        language.find("error", name, facts) or plain,
        language.find("fix", name, facts) or error.fix.rstrip("."),
    )
