"""What carries requests of both clients to a fake server: no socket, and no thread."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx


@dataclass(frozen=True, slots=True)
class Received:
    """A request that the fake server received. ``body``: what its JSON says; bytes if it is none; None without one."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None

    @classmethod
    def of(cls, request: httpx.Request) -> Received:
        return cls(request.method, request.url.path, dict(request.url.params), _read(request.content))


class FakeTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """For ``Client`` and for ``AsyncClient``."""

    def __init__(self, respond: Callable[[httpx.Request], httpx.Response]) -> None:
        self._respond = respond

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        return self._respond(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        return self._respond(request)


def _read(content: bytes) -> Any:
    if not content:
        return None
    try:
        return json.loads(content)
    except ValueError:
        return content
