"""The proxy sends a request to another replica if the one that had it died, and only if that does no harm."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from services.proxy import HEALTH, TRIES, HealthyWhileLeaving, RetryDeadReplica, _Incoming, middlewares

pytestmark = pytest.mark.unit


class Replicas:
    """The proxy of Serve: the first ``dead`` calls end without a response, as Serve does it when a replica died."""

    def __init__(self, dead: int, begin: bool = False) -> None:
        self.dead = dead
        self.begin = begin
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.bodies.append(body)
        start = {"type": "http.response.start", "status": 200, "headers": []}
        if len(self.bodies) <= self.dead:
            if self.begin:
                await send(start)
            return
        await send(start)
        await send({"type": "http.response.body", "body": body})


def ask(replicas: Replicas, method: str, path: str, body: bytes = b"") -> httpx.Response:
    async def go() -> httpx.Response:
        transport = httpx.ASGITransport(RetryDeadReplica(replicas))
        async with httpx.AsyncClient(transport=transport, base_url="http://proxy") as client:
            return await client.request(method, path, content=body)

    return asyncio.run(go())


@pytest.mark.parametrize("dead", range(TRIES))
def test_a_prediction_is_sent_again_with_its_whole_body(dead: int) -> None:
    replicas = Replicas(dead)
    body = b"x" * 200_000
    response = ask(replicas, "POST", "/v1/tasks/shop/inbox/predict", body)
    assert (response.status_code, response.content) == (200, body)
    assert replicas.bodies == [body] * (dead + 1)


def test_after_the_last_try_it_is_unavailable() -> None:
    replicas = Replicas(99)
    response = ask(replicas, "GET", "/v1/tasks/shop/inbox")
    assert len(replicas.bodies) == TRIES
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == "urn:tornio:problem:unavailable"


def test_what_has_an_effect_is_sent_once() -> None:
    replicas = Replicas(1)
    response = ask(replicas, "POST", "/v1/tasks/shop/inbox/rollback")
    assert (response.status_code, len(replicas.bodies)) == (503, 1)
    assert "Check whether the request took effect" in response.json()["detail"]


def test_a_response_that_has_begun_is_not_made_twice() -> None:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    replicas = Replicas(1, begin=True)
    scope = {"type": "http", "method": "GET", "path": "/"}
    asyncio.run(RetryDeadReplica(replicas)(scope, receive, send))
    assert [message["type"] for message in sent] == ["http.response.start"]
    assert len(replicas.bodies) == 1


def test_a_client_that_has_gone_is_not_answered() -> None:
    calls: list[str] = []

    async def left(scope: Scope, receive: Receive, send: Send) -> None:
        calls.append((await receive())["type"])

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise AssertionError(message)

    asyncio.run(RetryDeadReplica(left)({"type": "http", "method": "GET", "path": "/"}, receive, send))
    assert calls == ["http.disconnect"]


@pytest.mark.parametrize("status", [408, 429, 503])
@pytest.mark.parametrize("path", ["/v1/tasks/shop/inbox/predict", "/v1/tasks/shop/inbox/rollback"])
def test_a_refusal_of_serve_itself_becomes_a_problem_document(status: int, path: str) -> None:
    calls: list[str] = []

    async def full(scope: Scope, receive: Receive, send: Send) -> None:
        calls.append(scope["path"])
        headers = [(b"content-type", b"text/plain; charset=utf-8")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"Request dropped due to backpressure"})

    async def go() -> httpx.Response:
        transport = httpx.ASGITransport(RetryDeadReplica(full))
        async with httpx.AsyncClient(transport=transport, base_url="http://proxy") as client:
            return await client.post(path)

    response = asyncio.run(go())
    assert (response.status_code, response.headers["content-type"]) == (503, "application/problem+json")
    assert response.headers["retry-after"] == "1"
    assert calls == [path]  # a server that is full is not asked again


def test_a_body_that_is_sent_once_is_not_kept() -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"x" * 100}

    async def read(incoming: _Incoming) -> None:
        await incoming.again()()

    incoming = _Incoming(receive, keep=False)
    asyncio.run(read(incoming))
    assert incoming._read == []


def test_serve_takes_them_as_its_middlewares() -> None:
    from ray.serve._private.http_util import validate_http_proxy_callback_return

    found: Sequence[Any] = validate_http_proxy_callback_return(middlewares())
    assert [one.cls for one in found] == [RetryDeadReplica]


def test_a_proxy_whose_pod_ends_is_healthy_for_kubernetes_although_serve_calls_it_drained() -> None:
    async def drained(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("This node is being drained.", 503)(scope, receive, send)

    async def statuses(leaving: bool) -> list[int]:
        transport = httpx.ASGITransport(HealthyWhileLeaving(drained, lambda: leaving))
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
            return [(await client.get(path)).status_code for path in (HEALTH, "/v1/tasks")]

    assert asyncio.run(statuses(leaving=False)) == [503, 503]
    assert asyncio.run(statuses(leaving=True)) == [200, 503]
