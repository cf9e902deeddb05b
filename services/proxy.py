"""What runs in Serve's own proxy: it sends a request to another replica if the one that had it died. In a pod that is
about to end it closes connections, and answers the requests for which Kubernetes has no other pod.

Serve answers such a request with a bare error 500. Serve finds `middlewares` by the environment variable
``RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH`` (see `ENVIRONMENT`) on the nodes where its proxies run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tornio.api import PROBLEM_JSON, Problem, problem_type
from tornio.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.middleware import Middleware
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

ENVIRONMENT = {
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "services.proxy:middlewares",
    # Serve kills a proxy that is not ready after three times this long. Its 5 s are too short for a busy machine, where
    # a new proxy would be killed while it still imports.
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "30",
}
"""Variables of the processes of Serve: its controller and its proxies."""
HEALTH = "/-/healthz"
"""Serve's own path, which the readiness probe of a pod asks."""
TRIES = 2
"""How often a request is sent at most. More would let a request that kills its replica kill many."""
_HARMLESS = ("GET", "HEAD", "OPTIONS")
_WITHOUT_EFFECT = ("/predict", "/zero-shot", "/try")
"""Ends of the paths whose POST changes nothing."""

_DIED = "The replica that had this request died. Check whether the request took effect, and try again."
_REFUSALS = {
    408: "The request was not answered in time. Check whether it took effect, and try again.",
    429: "The server is busy: its queue is full. Try again in a moment.",
    503: "The server is busy, or no replica of it is ready. Try again in a moment.",
}
"""What a client is told for each status with which Serve itself refuses a request, in plain text."""


class RetryDeadReplica:
    """ASGI middleware around Serve's proxy.

    A request is only sent again if it changes nothing and if no part of its response was sent. Every other request
    whose replica died gets a problem document with status 503, and so does one that Serve itself refuses.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        repeat = _may_repeat(scope)
        incoming, outgoing = _Incoming(receive, keep=repeat), _Outgoing(send)
        for _ in range(TRIES if repeat else 1):
            await self._app(dict(scope), incoming.again(), outgoing)
            if outgoing.refusal:
                await _say_unavailable(send, _REFUSALS[outgoing.refusal])
            if outgoing.refusal or outgoing.started or incoming.ended:
                return
        await _say_unavailable(send, _DIED)


class HealthyWhileLeaving:
    """ASGI middleware: the proxy of a pod that is about to end stays healthy for Kubernetes' probe.

    Serve calls a proxy unhealthy once its node has no replica, although the proxy still passes requests on to others
    for half a minute. Kubernetes sends requests to a pod that ends only while no other is ready, and only if its probe
    succeeds. When the pod with the only replica was deleted, 6 of 424 requests came after the old pod's probe had
    failed and before the new pod's had succeeded.
    """

    def __init__(self, app: ASGIApp, leaving: Callable[[], bool]) -> None:
        self._app = app
        self._leaving = leaving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == HEALTH and self._leaving():
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"success"})
            return
        await self._app(scope, receive, send)


class _Incoming:
    """The messages of a request, which can be read again from the first one if they are kept."""

    def __init__(self, receive: Receive, keep: bool) -> None:
        self._receive = receive
        self._keep = keep
        self._read: list[Message] = []
        self.ended = False
        """Whether the client has gone."""

    def again(self) -> Receive:
        position = 0

        async def receive() -> Message:
            nonlocal position
            if position < len(self._read):
                message = self._read[position]
            else:
                message = await self._receive()
                self.ended = self.ended or message["type"] == "http.disconnect"
                if self._keep:
                    self._read.append(message)
            position += 1
            return message

        return receive


class _Outgoing:
    """Passes a response on, and remembers that it has begun. A refusal of Serve itself is held back."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False
        self.refusal = 0
        """Status of Serve's refusal; 0 for none."""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] in _REFUSALS and _is_plain(message):
            self.refusal = message["status"]
        if not self.refusal:
            self.started = True
            await self._send(message)


def _is_plain(message: Message) -> bool:
    """Whether a response is plain text, which the gateway never sends as an error."""
    return any(name == b"content-type" and value.startswith(b"text/plain") for name, value in message["headers"])


def _may_repeat(scope: Scope) -> bool:
    method, path = scope["method"], scope["path"]
    return method in _HARMLESS or (method == "POST" and path.endswith(_WITHOUT_EFFECT))


async def _say_unavailable(send: Send, detail: str) -> None:
    problem = Problem(type=problem_type(Unavailable), title="Service Unavailable", status=503, detail=detail)
    headers = [(b"content-type", PROBLEM_JSON.encode()), (b"retry-after", b"1")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": problem.model_dump_json().encode()})


def middlewares() -> list[Middleware]:
    """Return the middlewares of Serve's proxy.

    The proxy closes the connections of a pod that is about to end, because the replica that answers may be on another
    pod: those of this one move away first.
    """
    from starlette.middleware import Middleware  # here, because `tornio up` reads ENVIRONMENT alone

    from services.gateway.draining import Draining
    from tornio.settings import UpgradeSettings

    leaving = UpgradeSettings().tornio_leaving_file
    ending = [Middleware(each, leaving=leaving.exists) for each in (HealthyWhileLeaving, Draining)] if leaving else []
    return [*ending, Middleware(RetryDeadReplica)]
