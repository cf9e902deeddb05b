"""How much comes in before a request is worked on: how large a body is, how long it takes, and how many of one client.

Plain ASGI. Every refusal has the format of the request's protocol.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway import paths
from services.gateway.callers import ANYBODY, Caller
from services.gateway.problems import Failure, Problems
from tornio.api import MAX_BODY_BYTES, MAX_PREDICT_BYTES, MIB
from tornio.errors import InvalidInput, Unavailable

BODY_S = 15.0
"""Seconds that a body may take in any case."""
BODY_BYTES_PER_S = 256 * 1024
"""Each of these that has arrived gives the rest of the body one more second."""
RECENT_S = 60.0
"""Seconds after its last request for which a client counts as one that uses the replica."""
_PREDICTIONS = re.compile(r"/(predict|zero-shot|infer)$|^/hf/")
"""Paths of routes that take a list of texts."""
_EVENTS = re.compile(r"^/v1/argilla/webhook$")
"""The path that takes events of the annotation tool. Each has a text, and how its data set is set up."""
MAX_EVENT_BYTES = 4 * MIB
"""The longest text takes 1.2 MB in JSON."""
_FORMS = re.compile(r"^/(login|logout|tasks/.*)$")
"""The paths of the web page that take a form."""
MAX_FORM_BYTES = 2 * MIB
"""The longest text takes 1.2 MB in a form."""
_LESS = ((_PREDICTIONS, MAX_PREDICT_BYTES), (_EVENTS, MAX_EVENT_BYTES), (_FORMS, MAX_FORM_BYTES))
_TOO_LARGE = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def most_bytes(scope: Scope) -> int:
    """Return the most bytes that a body of this request may have."""
    path = paths.app_path(scope)
    return next((most for route, most in _LESS if route.search(path)), MAX_BODY_BYTES)


def too_large(limit: int) -> HTTPException:
    """Return the error of a body with more bytes. The app answers it like an error of its routes."""
    return HTTPException(_TOO_LARGE, _advice(limit))


class BodyLimit:
    """Answers 413 to bodies that are larger than their route takes, and 408 to those that take too long.

    A body may announce its length or not. Starlette's own limit answers in plain text, and no protocol of ours does.
    """

    def __init__(self, app: ASGIApp, problems: Problems, seconds: float = BODY_S) -> None:
        self._app = app
        self._problems = problems
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = most_bytes(scope)
        length = Headers(scope=scope).get("content-length", "")
        if length.isdigit() and int(length) > limit:
            failure = Failure(InvalidInput, _TOO_LARGE, _advice(limit))
            await self._problems.response(scope, failure)(scope, receive, send)
        else:
            await self._app(scope, _limited(receive, limit, self._seconds), send)


class ClientShare:
    """Answers 429 to a client that has ``most`` requests here already, so that others always find room.

    A client is an API key, or an address where the server has no keys. Requests whose body has not arrived always
    count, because whoever sends half of a body holds its place for nothing. Those that wait for a model or are answered
    count only while other clients use this replica, too: one that is alone may have all of it, and its bursts queue.
    Open routes do not count. ``now``: seconds, as `time.monotonic` counts them.
    """

    def __init__(self, app: ASGIApp, problems: Problems, most: int, now: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._problems = problems
        self._most = most
        self._now = now
        self._arriving = Counter[str]()
        self._under_way = Counter[str]()
        self._last = ("", -math.inf)
        self._other_at = -math.inf

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = scope.get("state", {}).get("caller")
        if scope["type"] != "http" or caller is None:
            await self._app(scope, receive, send)
            return
        client = _client(caller, scope)
        if self._is_beyond(client):
            failure = Failure(Unavailable, HTTPStatus.TOO_MANY_REQUESTS, _of_share(client, self._most))
            await self._problems.response(scope, failure)(scope, receive, send)
            return
        headers = Headers(scope=scope)
        arriving = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        self._arriving[client] += arriving
        self._under_way[client] += 1

        def arrived() -> None:
            nonlocal arriving
            self._arriving[client] -= arriving
            arriving = False

        async def noticed() -> Message:
            message = await receive()
            if not message.get("more_body", False):
                arrived()
            return message

        try:
            await self._app(scope, noticed, send)
        finally:
            arrived()
            self._under_way[client] -= 1
            if not self._under_way[client]:
                del self._arriving[client], self._under_way[client]

    def _is_beyond(self, client: str) -> bool:
        now = self._now()
        last, at = self._last
        if client != last:
            self._other_at = at
        self._last = client, now
        alone = now - self._other_at >= RECENT_S
        return self._arriving[client] >= self._most or (not alone and self._under_way[client] >= self._most)


def _client(caller: Caller, scope: Scope) -> str:
    if caller is not ANYBODY:
        return f"The key {caller.name!r}"
    address = scope.get("client")
    return f"The address {address[0] if address else 'unknown'}"


def _of_share(client: str, most: int) -> str:
    return (
        f"{client} has {most} requests under way at this replica, which is its share. Wait for some of them before you "
        "send more, and put more texts into one request."
    )


def _limited(receive: Receive, limit: int, seconds: float) -> Receive:
    """Return a ``receive`` that raises HTTPException, which the app answers like an error of its routes."""
    received, ended = 0, False
    deadline = asyncio.get_running_loop().time() + seconds

    async def limited() -> Message:
        nonlocal received, ended
        try:
            async with asyncio.timeout_at(None if ended else deadline + received / BODY_BYTES_PER_S):
                message = await receive()
        except TimeoutError:
            ended = True  # the app may ask again, for the client's leave
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, _of_time(received), {"Connection": "close"}) from None
        received += len(message.get("body", b""))
        if received > limit:
            raise too_large(limit)
        ended = ended or not message.get("more_body", False)
        return message

    return limited


def _advice(limit: int) -> str:
    return f"The request's body is larger than {limit // MIB} MiB. Send it in several requests (tornio.Client does)."


def _of_time(received: int) -> str:
    return (
        f"The request's body did not arrive in time: {received:,} bytes came. A body may take {BODY_S:g} s, and a "
        f"second more for each {BODY_BYTES_PER_S // 1024} KiB. Send it again, in smaller requests if the line is slow."
    )
