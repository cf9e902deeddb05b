"""What happens before a request is routed and its body is read: who calls. Plain ASGI.

Every route is closed: a request without a known key is refused, whatever its path or protocol. Only a route whose
endpoint is marked with ``open_to_all`` is open.
"""

from __future__ import annotations

from typing import TypeVar

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from services.gateway import paths
from services.gateway.auth import KeyRing
from services.gateway.problems import Failure, Problems
from tornio.errors import Forbidden, Unauthorized

E = TypeVar("E")

_OPEN = "open_to_all"
_POLICY_VIOLATION = 1008
"""The code that a WebSocket is closed with (RFC 6455, section 7.4.1)."""


def open_to_all(endpoint: E) -> E:
    """Mark an endpoint, or an app that gets mounted, as open: its routes need no key."""
    setattr(endpoint, _OPEN, True)
    return endpoint


def is_marked_open(endpoint: object) -> bool:
    """Whether ``open_to_all`` marked the endpoint."""
    return getattr(endpoint, _OPEN, False) is True


class KeyGuard:
    """Refuses requests without a known key, except for open routes. Leaves the caller in ``request.state.caller``.

    A server without keys in insecure mode checks Host and Origin instead; see ``KeyRing.admit``.
    """

    def __init__(self, app: ASGIApp, keys: KeyRing, problems: Problems) -> None:
        self._app = app
        self._keys = keys
        self._problems = problems

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":  # all else is a request, in whatever protocol
            headers = Headers(scope=scope)
            try:
                caller = self._keys.admit(headers.get("authorization"), headers.get("host", ""), headers.get("origin"))
            except (Unauthorized, Forbidden) as error:
                if not _is_open(scope):
                    await self._refuse(error, scope, receive, send)
                    return
            else:
                scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)

    async def _refuse(self, error: Unauthorized | Forbidden, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" or "websocket.http.response" in (scope.get("extensions") or {}):
            await self._problems.response(scope, Failure.of(error))(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": type(error).__name__})


def _is_open(scope: Scope) -> bool:
    """Whether the request's route says that it is open. A path without a route is closed."""
    return is_marked_open(paths.endpoint(scope["app"].routes, scope))
