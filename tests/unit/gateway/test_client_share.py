"""How many requests of one client a replica takes at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from starlette.types import Message, Receive, Scope, Send

from services.gateway.callers import Caller, Role
from services.gateway.intake import RECENT_S, ClientShare
from services.gateway.problems import Problems

pytestmark = pytest.mark.unit

MOST = 3


class Server:
    """An app that waits for a request's body and then for `answer`, behind the limit."""

    def __init__(self) -> None:
        self.clock = 0.0
        self.answer = asyncio.Event()
        self.share = ClientShare(self._app, Problems(), MOST, lambda: self.clock)

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body", False):
            pass
        await self.answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def request(self, key: str, body: Awaitable[None] | None = None) -> int:
        """Send a request, whose body arrives when ``body`` is done. Returns its status."""
        caller = Caller(name=key, workspaces=frozenset({"*"}), role=Role.PREDICT)
        headers = [(b"content-length", b"2")]
        scope: Scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/x",
            "headers": headers,
            "state": {"caller": caller},
        }
        statuses: list[int] = []

        async def receive() -> Message:
            if body is not None:
                await body
            return {"type": "http.request", "body": b"{}", "more_body": False}

        async def send(message: Message) -> None:
            statuses.extend([message["status"]] if "status" in message else [])

        await self.share(scope, receive, send)
        return statuses[0]


def run(story: Callable[[Server], Awaitable[None]]) -> None:
    async def told() -> None:
        await story(Server())

    asyncio.run(told())


async def begun(server: Server, key: str, count: int, body: Awaitable[None] | None = None) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(server.request(key, body)) for _ in range(count)]
    await asyncio.sleep(0.01)
    return tasks


def test_a_client_that_is_alone_may_have_the_whole_replica() -> None:
    async def story(server: Server) -> None:
        burst = await begun(server, "only", 4 * MOST)
        server.answer.set()
        assert await asyncio.gather(*burst) == [200] * (4 * MOST)

    run(story)


def test_with_others_it_has_its_share_and_they_have_room() -> None:
    async def story(server: Server) -> None:
        quiet = await begun(server, "quiet", 1)
        burst = await begun(server, "loud", 2 * MOST)
        quiet += await begun(server, "quiet", 1)
        server.answer.set()
        assert sorted(await asyncio.gather(*burst)) == [200] * MOST + [429] * MOST
        assert await asyncio.gather(*quiet) == [200, 200]

    run(story)


def test_bodies_that_do_not_arrive_count_in_any_case() -> None:
    async def story(server: Server) -> None:
        half = asyncio.get_running_loop().create_future()
        holding = await begun(server, "only", 2 * MOST, asyncio.shield(half))
        assert [task.result() for task in holding if task.done()] == [429] * MOST
        half.set_result(None)
        server.answer.set()
        assert sorted(await asyncio.gather(*holding)) == [200] * MOST + [429] * MOST
        assert await server.request("only") == 200

    run(story)


def test_a_client_that_left_leaves_the_whole_replica() -> None:
    async def story(server: Server) -> None:
        server.answer.set()
        assert await server.request("left") == 200
        server.answer.clear()
        server.clock = RECENT_S + 1
        burst = await begun(server, "stays", 2 * MOST)
        server.answer.set()
        assert await asyncio.gather(*burst) == [200] * (2 * MOST)

    run(story)
