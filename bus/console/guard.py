"""What every request must pass, and every answer bear: reading only, no foreign names, no foreign content.

Written as plain ASGI, so that an answer that never ends passes through as it comes.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Guard:
    """Lets GET and HEAD through that ask for this host by a name that is its own, and sets the security headers.

    A page elsewhere can point a name of its own at this address and have a visitor's browser read from it (DNS
    rebinding); the browser then tells that name in `Host`. An address in digits cannot be rebound.

    Args:
        application: what answers.
        host: that the console listens on; on loopback, only loopback is asked for.
        names: more names by which it may be asked for, a reverse proxy's for instance.
    """

    def __init__(self, application: ASGIApp, host: str, names: Collection[str] = ()) -> None:
        self._application = application
        self._loopback = host == "localhost" or _is_loopback(host)
        own = () if self._loopback else (socket.gethostname(), socket.getfqdn(), host)
        self._names = {name.lower() for name in ("localhost", *own, *names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        answer = self._refusal(scope) or self._application
        await answer(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        if scope["method"] not in {"GET", "HEAD"}:
            return PlainTextResponse("The console only shows.\n", 405, {"allow": "GET, HEAD"})
        if not self._is_ours(Headers(scope=scope).get("host", "")):
            return PlainTextResponse("This host is not called that; name it with --name.\n", 421)
        return None

    def _is_ours(self, asked: str) -> bool:
        name = asked[1:].partition("]")[0] if asked.startswith("[") else asked.partition(":")[0]
        if name.lower() in self._names:
            return True
        return _is_loopback(name) if self._loopback else _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    return _is_address(name) and ipaddress.ip_address(name).is_loopback
