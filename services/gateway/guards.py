"""What happens before a request is routed and its body is read: who calls. Plain ASGI.

Every route is closed: a request without a known key is refused, whatever its path or protocol. Only a route whose
endpoint is marked with ``open_to_all`` is open. A route of the web page, whose endpoint is marked with ``of_page``,
also takes the session of somebody who has logged in. No other route looks at cookies.
"""

from __future__ import annotations

from typing import TypeVar

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from services.gateway import paths
from services.gateway.auth import KeyRing
from services.gateway.callers import Caller
from services.gateway.problems import Failure, Problems
from services.gateway.sessions import cookies
from services.gateway.sessions.port import Sessions
from tornio.errors import TornioError, Unauthorized

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

    A request for the web page may have a session in place of a key. Its token is then in ``request.state.session``.
    A server without keys in insecure mode checks Host and Origin instead; see ``KeyRing.admit``.
    """

    def __init__(self, app: ASGIApp, keys: KeyRing, problems: Problems, sessions: Sessions) -> None:
        self._app = app
        self._keys = keys
        self._problems = problems
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":  # all else is a request, in whatever protocol
            try:
                caller = await self._admitted(scope)
            except TornioError as error:
                if not _is_open(scope):
                    await self._refuse(error, scope, receive, send)
                    return
            else:
                scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)

    async def _admitted(self, scope: Scope) -> Caller:
        headers = Headers(scope=scope)
        authorization = headers.get("authorization")
        token = cookies.token_in(scope) if authorization is None and "cookie" in headers else None
        if token is None or self._keys.is_keyless or not paths.is_marked_page(_endpoint(scope)):
            return self._keys.admit(authorization, headers.get("host", ""), headers.get("origin"))
        key = await self._sessions.find(token)
        caller = None if key is None else self._keys.holder(key)
        if caller is None:
            raise Unauthorized("You are not logged in any more. Log in with an API key of this server.")
        scope.setdefault("state", {})["session"] = token
        return caller

    async def _refuse(self, error: TornioError, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" or "websocket.http.response" in (scope.get("extensions") or {}):
            await self._problems.response(scope, Failure.of(error))(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": type(error).__name__})


def _is_open(scope: Scope) -> bool:
    """Whether the request's route says that it is open. A path without a route is closed."""
    return is_marked_open(_endpoint(scope))


def _endpoint(scope: Scope) -> object | None:
    return paths.endpoint(scope["app"].routes, scope)
