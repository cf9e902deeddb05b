"""What happens before a request is routed and its body is read: who calls, and how much may come. Plain ASGI.

Every route is closed: a request without a known key is refused, whatever its path or protocol. Only a route whose
endpoint is marked with ``open_to_all`` is open.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TypeVar

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway import paths
from services.gateway.auth import KeyRing
from services.gateway.problems import Failure, Problems
from tornio.api import MAX_BODY_BYTES, MAX_PREDICT_BYTES, MIB
from tornio.errors import Forbidden, InvalidInput, Unauthorized

E = TypeVar("E")

_OPEN = "open_to_all"
_TOO_LARGE = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
_POLICY_VIOLATION = 1008
"""The code that a WebSocket is closed with (RFC 6455, section 7.4.1)."""


def open_to_all(endpoint: E) -> E:
    """Mark an endpoint, or an app that gets mounted, as open: its routes need no key."""
    setattr(endpoint, _OPEN, True)
    return endpoint


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


class BodyLimit:
    """Answers 413 to bodies that are larger than their route takes, whether they announce their length or not.

    Starlette's own limit answers in plain text, and no protocol of ours does.
    """

    def __init__(self, app: ASGIApp, problems: Problems) -> None:
        self._app = app
        self._problems = problems

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        predicts = paths.app_path(scope).endswith(("/predict", "/zero-shot"))
        limit = MAX_PREDICT_BYTES if predicts else MAX_BODY_BYTES
        length = Headers(scope=scope).get("content-length", "")
        if length.isdigit() and int(length) > limit:
            failure = Failure(InvalidInput, _TOO_LARGE, _advice(limit))
            await self._problems.response(scope, failure)(scope, receive, send)
        else:
            await self._app(scope, _counted(receive, limit), send)


def _is_open(scope: Scope) -> bool:
    """Whether the request's route says that it is open. A path without a route is closed."""
    return getattr(paths.endpoint(scope["app"].routes, scope), _OPEN, False) is True


def _counted(receive: Receive, limit: int) -> Receive:
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise HTTPException(_TOO_LARGE, _advice(limit))  # the app answers it like an error of its routes
        return message

    return counted


def _advice(limit: int) -> str:
    return f"The request's body is larger than {limit // MIB} MiB. Send it in several requests (tornio.Client does)."
