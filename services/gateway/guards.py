"""What happens before a request's body is read: who is asking, and how much may come. Plain ASGI."""

from __future__ import annotations

from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway import problems
from services.gateway.auth import ANYBODY, KeyRing
from tornio.api import MAX_BODY_BYTES, MAX_PREDICT_BYTES, MIB
from tornio.errors import Forbidden, InvalidInput, Unauthorized

_STATUS = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class KeyGuard:
    """Lets nobody into ``/v1`` without a key; leaves the caller in ``request.state.caller``."""

    def __init__(self, app: ASGIApp, keys: KeyRing) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _path(scope).startswith("/v1"):
            headers = Headers(scope=scope)
            try:
                caller = self._keys.caller(headers.get("authorization"))
                if caller is ANYBODY:
                    check_local(headers)
            except (Unauthorized, Forbidden) as error:
                await problems.of_error(error)(scope, receive, send)
                return
            scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)


def check_local(headers: Headers) -> None:
    """Raises Forbidden for what a page of another site makes a browser send to a server without keys.

    Such a page cannot choose Host (one that had its own name point at us would be named there), and browsers name
    it in Origin with everything that could change something.
    """
    host, origin = headers.get("host", ""), headers.get("origin")
    if not _is_loopback(host):
        raise Forbidden(
            f"this server has no API keys, so it answers to 127.0.0.1 and localhost only, not to {host[:80]!r}: "
            "use that address, or start it with keys"
        )
    if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
        raise Forbidden(
            f"this server has no API keys, so it takes no requests from pages of {origin[:80]!r}: start it with keys"
        )


def _is_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


class BodyLimit:
    """Answers 413 to bodies that are larger than their route takes, said or not.

    Ours, because Starlette's own limit answers in plain text, and we owe a problem document.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = MAX_PREDICT_BYTES if _path(scope).endswith(("/predict", "/zero-shot")) else MAX_BODY_BYTES
        said = Headers(scope=scope).get("content-length", "")
        if said.isdigit() and int(said) > limit:
            await problems.document(InvalidInput, _STATUS, _advice(limit))(scope, receive, send)
        else:
            await self._app(scope, _counted(receive, limit), send)


def _counted(receive: Receive, limit: int) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise HTTPException(_STATUS, _advice(limit))  # the app answers it like one of its own
        return message

    return counted


def _advice(limit: int) -> str:
    return f"the request's body is larger than {limit // MIB} MiB: send it in several requests (tornio.Client does)"


def _path(scope: Scope) -> str:
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))
