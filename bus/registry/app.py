"""The routes, and what every answer has in common. Behaviour: Confluent's schema registry API, version 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route

from bus.errors import BrokerUnavailableError
from bus.registry import schemas, settings, subjects
from bus.registry.call import V1, Call, answer, answered_type, refusal
from bus.registry.faults import RefusedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from bus.registry.registry import Registry

    Handler = Callable[[Call, Registry], Awaitable[Any]]


async def root(_call: Call, _registry: Registry) -> dict[str, Any]:
    """GET /."""
    return {}


async def contexts(_call: Call, _registry: Registry) -> list[str]:
    """GET /contexts: only the default one."""
    return ["."]


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/", root),
    ("GET", "/contexts", contexts),
    ("GET", "/subjects", subjects.list_subjects),
    ("POST", "/subjects/{subject}", subjects.look_up),
    ("DELETE", "/subjects/{subject}", subjects.delete_subject),
    ("GET", "/subjects/{subject}/versions", subjects.list_versions),
    ("POST", "/subjects/{subject}/versions", subjects.register),
    ("GET", "/subjects/{subject}/versions/{version}", subjects.show_version),
    ("DELETE", "/subjects/{subject}/versions/{version}", subjects.delete_version),
    ("GET", "/subjects/{subject}/versions/{version}/schema", subjects.show_schema),
    ("GET", "/subjects/{subject}/versions/{version}/referencedby", subjects.referenced_by),
    ("GET", "/schemas", schemas.list_all),
    ("GET", "/schemas/types", schemas.types),
    ("GET", "/schemas/ids/{id}", schemas.show),
    ("GET", "/schemas/ids/{id}/schema", schemas.show_schema),
    ("GET", "/schemas/ids/{id}/subjects", schemas.subjects),
    ("GET", "/schemas/ids/{id}/versions", schemas.versions),
    ("POST", "/compatibility/subjects/{subject}/versions", settings.try_subject),
    ("POST", "/compatibility/subjects/{subject}/versions/{version}", settings.try_version),
    *(
        (method, path, handler)
        for path in ("/config", "/config/{subject}")
        for method, handler in (
            ("GET", settings.show_level),
            ("PUT", settings.set_level),
            ("DELETE", settings.delete_level),
        )
    ),
    *(
        (method, path, handler)
        for path in ("/mode", "/mode/{subject}")
        for method, handler in (
            ("GET", settings.show_mode),
            ("PUT", settings.set_mode),
            ("DELETE", settings.delete_mode),
        )
    ),
]


def application(registry: Registry) -> ASGIApp:
    """The ASGI application over a registry, which somebody else starts and stops."""
    app = Starlette(
        routes=[Route(path, _endpoint(handler, registry), methods=[method]) for method, path, handler in ROUTES],
        exception_handlers={
            RefusedError: _refused,
            HTTPException: _http_refused,
            BrokerUnavailableError: _unavailable,
            Exception: _failed,
        },
    )
    app.router.redirect_slashes = False
    return _undecoded_path(app)


def _endpoint(handler: Handler, registry: Registry) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        media_type = answered_type(request.headers.get("accept", ""))
        return answer(await handler(Call(request), registry), media_type)

    return endpoint


def _undecoded_path(app: ASGIApp) -> ASGIApp:
    """Route by the path as it was sent, so that a slash inside a subject (%2F) divides nothing."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            raw = scope.get("raw_path", scope["path"].encode()).decode("utf-8", "replace").partition("?")[0]
            scope = {**scope, "path": raw.rstrip("/") or "/"}
        await app(scope, receive, send)

    return wrapped


def _media_type(request: Request) -> str:
    try:
        return answered_type(request.headers.get("accept", ""))
    except HTTPException:
        return V1


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return refusal(error.code, error.message, _media_type(request))


async def _http_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = error.detail if error.detail.startswith(("HTTP", "The")) else f"HTTP {error.status_code} {error.detail}"
    return refusal(error.status_code, detail, _media_type(request))


async def _unavailable(request: Request, error: Exception) -> Response:
    return refusal(50001, f"Error in the backend data store: {error}", _media_type(request))


async def _failed(request: Request, _error: Exception) -> Response:
    return refusal(50001, "Internal Server Error", _media_type(request))
