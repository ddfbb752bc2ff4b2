"""The console's addresses: the page, its live part as server-sent events, the same as JSON.

Events and not polling: a verdict is on every screen as soon as it is found, an observation is rendered once for all
who look on, and a screen that hears nothing knows that it is cut off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import HTMLResponse, JSONResponse, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from bus.console.guard import Guard
from bus.console.language import choose
from bus.console.pages import THEMES, Look, Pages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Scope

    from bus.console.language import Code
    from bus.console.watch import Moment, Watch

FOR_EVER: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where the console is served, and how.

    Attributes:
        host: address to listen on; on loopback, the console can be asked for by loopback's names alone.
        port: 0 for a free one.
        names: more host names by which browsers may ask for it, a reverse proxy's for instance.
        language: for everybody who does not choose one by `?lang=`; None: as their browser asks.
    """

    host: str = "127.0.0.1"
    port: int = 0
    names: tuple[str, ...] = ()
    language: Code | None = None


LOOPBACK: Final = Site()


def application(watch: Watch, site: Site = LOOPBACK) -> Starlette:
    """The application that shows what the watch sees."""
    endpoints = _Endpoints(watch, site.language)
    return Starlette(
        routes=[
            Route("/", endpoints.page),
            Route("/live", endpoints.live),
            Route("/api/health", endpoints.health),
            Route("/api/trend", endpoints.trend),
            Mount("/static", _Static(packages=[("bus.console", "static")])),
        ],
        middleware=[
            Middleware(Guard, host=site.host, names=site.names),
            Middleware(GZipMiddleware, minimum_size=1_000, compresslevel=4),
        ],
    )


class _Static(StaticFiles):
    """Static files, whose addresses change with their content."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if response.status_code == 200:
            response.headers["cache-control"] = FOR_EVER
        return response


class _Endpoints:
    def __init__(self, watch: Watch, language: Code | None) -> None:
        self._watch = watch
        self._language = language
        self._pages = Pages()

    async def page(self, request: Request) -> Response:
        look = self._look(request)
        return HTMLResponse(
            self._pages.whole(self._watch.moment, look),
            headers={"content-language": look.language.code, "vary": "Accept-Language"},
        )

    async def live(self, request: Request) -> Response:
        return StreamingResponse(
            self._events(self._look(request)),
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    async def health(self, _request: Request) -> Response:
        """What `bus status --json` prints, and beside it whether it is new; 503 while it is not."""
        moment = self._watch.moment
        told = moment.health.as_json() if moment.health else {}
        fresh = moment.health is not None and moment.lost is None
        return JSONResponse(told | {"console": _state(moment)}, 200 if fresh else 503)

    async def trend(self, _request: Request) -> Response:
        return JSONResponse(self._watch.trend.as_json())

    async def _events(self, look: Look) -> AsyncIterator[str]:
        with self._watch.watching():
            moment = self._watch.moment
            while not self._watch.closed:
                yield _event(self._pages.live(moment, look), moment.number)
                moment = await self._watch.newer(moment.number)

    def _look(self, request: Request) -> Look:
        asked = request.query_params
        language = choose(asked.get("lang"), self._language, request.headers.get("accept-language", ""))
        theme = asked.get("theme")
        return Look(language, theme if theme in THEMES else None, asked.get("all") == "1")


def _event(html: str, number: int) -> str:
    """One server-sent event (WHATWG HTML §9.2)."""
    return f"id: {number}\n" + "".join(f"data: {line}\n" for line in html.splitlines() if line.strip()) + "\n"


def _state(moment: Moment) -> dict[str, Any]:
    if moment.lost is not None:
        return {
            "state": "lost",
            "since": moment.lost_since,
            "cause": moment.lost.summary,
            "detail": moment.lost.detail,
            "where": moment.lost.where,
            "action": moment.lost.fix,
        }
    return {"state": "live" if moment.health else "waiting"}
