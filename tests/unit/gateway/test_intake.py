"""What BodyLimit lets in, by ASGI calls on a clock that only waiting moves."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.intake import BODY_BYTES_PER_S, BodyLimit, ClientShare
from services.gateway.problems import Problems
from tornio.api import MAX_PREDICT_BYTES

pytestmark = pytest.mark.unit

T = TypeVar("T")


class _Clock(selectors.DefaultSelector):
    """Does not wait: the time that a loop would have waited has passed at once."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "everything waits for ever"
        self.now += timeout
        return super().select(0)


def run(work: Coroutine[Any, Any, T]) -> T:
    clock = _Clock()

    def loop() -> asyncio.AbstractEventLoop:
        made = asyncio.SelectorEventLoop(clock)
        made.time = lambda: clock.now  # type: ignore[method-assign]
        return made

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(work)


async def reads(scope: Scope, receive: Receive, send: Send) -> None:
    """An app that reads the body, and then the client's leave."""
    while (await receive()).get("more_body"):
        pass
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})


def arriving(*parts: tuple[float, int, bool]) -> Receive:
    """Parts of a body: seconds before it, its size, whether more follows. Then, an hour later, the client leaves."""
    left = iter(parts)

    async def receive() -> Message:
        wait, size, more = next(left, (3600.0, 0, False))
        await asyncio.sleep(wait)
        return {"type": "http.request", "body": b"x" * size, "more_body": more}

    return receive


async def status(app: ASGIApp, receive: Receive, **scope: Any) -> int:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    fields = {"type": "http", "method": "POST", "path": "/predict", "headers": [], "client": ("10.0.0.1", 1)}
    try:
        await app({**fields, **scope}, receive, send)
    except HTTPException as error:  # which the app's handlers answer
        return error.status_code
    return int(sent[0]["status"])


def limited(*parts: tuple[float, int, bool], **scope: Any) -> int:
    return run(status(BodyLimit(reads, Problems({}), seconds=15), arriving(*parts), **scope))


def test_a_body_has_its_time_and_more_for_what_has_arrived() -> None:
    """And what comes after its end, which is the client's leave, has no deadline."""
    assert limited((14, 10, False)) == 200
    assert limited((16, 10, False)) == 408
    assert limited((14, 10, True), (2, 10, False)) == 408
    assert limited((14, BODY_BYTES_PER_S * 4, True), (4, 10, False)) == 200
    assert limited((14, BODY_BYTES_PER_S * 4, True), (6, 10, False)) == 408


def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not() -> None:
    assert limited((0, MAX_PREDICT_BYTES, True), (0, 1, False)) == 413
    assert limited(headers=[(b"content-length", str(MAX_PREDICT_BYTES + 1).encode())]) == 413


def test_open_routes_do_not_count() -> None:
    assert run(status(ClientShare(reads, Problems({}), most=0), arriving())) == 200
