"""The page and its live part as HTML; Jinja escapes whatever comes from the catalogue or a source."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from bus import __version__
from bus.console.flow import KINDS, ROWS, Node, flow
from bus.console.told import tell, tell_error, tell_reject
from bus.console.totals import totals
from bus.control.health import DatasetHealth, Verdict, ViewHealth

if TYPE_CHECKING:
    from bus.console.language import Language
    from bus.console.watch import Moment

PROBLEMS_SHOWN: Final = 12
REJECTS_SHOWN: Final = 12
AFFECTED_SHOWN: Final = 3
VERSION: Final = __version__
"""A page of another version loads itself anew."""
THEMES: Final = ("dark", "light")


@dataclass(frozen=True, slots=True)
class Look:
    """How a viewer wants the page: language, theme (None: as the system has it), every part in a row of its own."""

    language: Language
    theme: str | None = None
    all: bool = False

    def query(self, **changed: str) -> str:
        """The page's query for this look, with something changed."""
        kept = {"lang": self.language.code, "theme": self.theme, "all": "1" if self.all else None} | changed
        return "?" + "&".join(f"{name}={value}" for name, value in kept.items() if value)


class Pages:
    """Renders; a moment is rendered once for each look, however many watch."""

    def __init__(self) -> None:
        environment = Environment(
            loader=PackageLoader("bus.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.globals["asset"] = asset
        self._page = environment.get_template("page.html")
        self._live = environment.get_template("live.html")
        self._rendered: dict[Look, str] = {}
        self._number = -1

    def whole(self, moment: Moment, look: Look) -> str:
        """The whole page."""
        return self._page.render(
            look=look, language=look.language, text=look.language.text, live=self.live(moment, look), moment=moment
        )

    def live(self, moment: Moment, look: Look) -> str:
        """What changes on it each second."""
        if moment.number != self._number:
            self._rendered.clear()
            self._number = moment.number
        if look not in self._rendered:
            self._rendered[look] = self._live.render(_scene(moment, look))
        return self._rendered[look]


def _scene(moment: Moment, look: Look) -> dict[str, Any]:
    """Everything that the live part's template speaks of."""
    language, health = look.language, moment.health
    scene: dict[str, Any] = {
        "moment": moment,
        "health": health,
        "look": look,
        "version": f"{VERSION} {asset('console.js')} {asset('console.css')}",
        "language": language,
        "text": language.text,
        "kinds": KINDS,
        "rejects": health.rejects[:REJECTS_SHOWN] if health else (),
        "tell_reject": tell_reject,
        "problems": moment.problems[:PROBLEMS_SHOWN],
        "more_problems": max(0, len(moment.problems) - PROBLEMS_SHOWN),
        "affected_shown": AFFECTED_SHOWN,
        "lost": tell_error(moment.lost, language) if moment.lost else None,
        "overall": "LOST" if moment.lost or health is None else health.verdict.value,
    }
    if health is not None:
        worst = max((each.judged.verdict for each in moment.problems), key=lambda each: each.severity, default=None)
        scene["overall"] = (
            "LOST" if moment.lost else max(worst or Verdict.OK, health.verdict, key=lambda each: each.severity)
        )
        scene |= {
            "flow": flow(health, None if look.all else ROWS),
            "totals": totals(health),
            "tell": lambda judged: tell(judged, health, language),
            "tip": lambda node: _tip(node, tell(node.part, health, language).cause, language),
        }
    return scene


def _tip(node: Node, cause: str, language: Language) -> str:
    """What a node says when it is pointed at or focused, and to a screen reader."""
    text = language.text
    title = text("node.others_title") if node.shared_by else node.title
    parts = [" · ".join(part for part in (title, node.name) if part), text(f"short.{node.part.verdict}")]
    if cause:
        parts.append(cause)
    if node.rate is not None:
        parts.append(text("node.tip_rate", rate=language.rate(node.rate)))
    if node.freshness_seconds is not None:
        parts.append(text("node.tip_age", age=language.span(node.freshness_seconds)))
    if isinstance(node.part, (DatasetHealth, ViewHealth)) and node.part.promise_seconds and not node.shared_by:
        parts.append(text("node.tip_promise", age=language.span(node.part.promise_seconds)))
    if node.waiting:
        parts.append(language.counted("node.tip_waiting", node.waiting))
    if node.open_rejects:
        parts.append(language.counted("node.tip_rejects", node.open_rejects))
    return "\n".join(parts)


@cache
def asset(path: str) -> str:
    """The address of a static file; it changes with the content, so that browsers may keep the file for ever."""
    content = (files("bus.console") / "static" / path).read_bytes()
    return f"static/{path}?{hashlib.sha256(content).hexdigest()[:12]}"
