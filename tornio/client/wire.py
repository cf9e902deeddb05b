"""What the two clients do differently: send, wait, and do several things at the same time.

Everything else is written once, as coroutines, in the rest of this package. ``AsyncClient`` awaits them over
``AsyncWire``. ``Client`` runs them over ``BlockingWire``, whose methods block and never suspend, so that a coroutine is
finished as soon as it is started: see ``blocking``.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from threading import Event
from typing import Any, ParamSpec, Protocol, TypeVar

import httpx

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")
_BYTES = {"Content-Type": "application/octet-stream"}


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. It has a body of JSON, or of bytes as they are, or none."""

    method: str
    path: str
    json: Any = None
    content: bytes | None = None

    def options(self) -> dict[str, Any]:
        headers = None if self.content is None else _BYTES
        return {"json": self.json, "content": self.content, "headers": headers}


@dataclass(frozen=True, slots=True)
class Stream:
    """A response whose body is read while it arrives. The body of an error response is read already."""

    response: httpx.Response
    pieces: AsyncIterator[bytes]


class Wire(Protocol):
    """Errors are those of httpx."""

    async def send(self, request: Request) -> httpx.Response:
        """Send a request, and return the response with its body."""

    def stream(self, path: str) -> AbstractAsyncContextManager[Stream]:
        """Send a GET request, and return before the body is there."""

    async def sleep(self, seconds: float, over: Event | None) -> bool:
        """Wait. Returns False if ``over`` is set meanwhile: nobody wants the result any longer."""

    async def aside(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what a call returns that reads or writes files, without holding up other coroutines."""

    def in_order(
        self, do: Callable[[T], Coroutine[Any, Any, R]], items: Iterable[T], at_once: int, over: Event
    ) -> AsyncGenerator[R, None]:
        """Yield ``await do(item)`` of each item in their order. ``at_once``, more than 1: how many are done at once.

        ``over`` is set when the results are no longer wanted.
        """

    async def close(self) -> None: ...


class BlockingWire:
    """For ``Client``. No method ever suspends."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    async def send(self, request: Request) -> httpx.Response:
        return self._http.request(request.method, request.path, **request.options())

    @asynccontextmanager
    async def stream(self, path: str) -> AsyncIterator[Stream]:
        with self._http.stream("GET", path) as response:
            if response.is_error:
                response.read()
            yield Stream(response, _each_of(response))

    async def sleep(self, seconds: float, over: Event | None) -> bool:
        if over is not None:
            return not over.wait(seconds)
        time.sleep(seconds)
        return True

    async def aside(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return call(*args, **kwargs)

    async def in_order(
        self, do: Callable[[T], Coroutine[Any, Any, R]], items: Iterable[T], at_once: int, over: Event
    ) -> AsyncGenerator[R, None]:
        """``at_once`` threads do them, and one more item waits for one."""
        with ThreadPoolExecutor(at_once, thread_name_prefix="tornio-client") as pool:
            running: deque[Future[R]] = deque()
            try:
                for item in items:
                    running.append(pool.submit(lambda one: finished(do(one)), item))
                    if len(running) > at_once:
                        yield running.popleft().result()
                while running:
                    yield running.popleft().result()
            finally:
                over.set()
                for one in running:
                    one.cancel()

    async def close(self) -> None:
        self._http.close()


class AsyncWire:
    """For ``AsyncClient``, in an event loop of asyncio."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def send(self, request: Request) -> httpx.Response:
        return await self._http.request(request.method, request.path, **request.options())

    @asynccontextmanager
    async def stream(self, path: str) -> AsyncIterator[Stream]:
        async with self._http.stream("GET", path) as response:
            if response.is_error:
                await response.aread()
            yield Stream(response, response.aiter_bytes())

    async def sleep(self, seconds: float, over: Event | None) -> bool:
        await asyncio.sleep(seconds)
        return over is None or not over.is_set()

    async def aside(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.to_thread(call, *args, **kwargs)

    async def in_order(
        self, do: Callable[[T], Coroutine[Any, Any, R]], items: Iterable[T], at_once: int, over: Event
    ) -> AsyncGenerator[R, None]:
        """Each item is a task. Those that are under way when the results are no longer wanted are cancelled."""
        running: deque[asyncio.Task[R]] = deque()
        try:
            for item in items:
                running.append(asyncio.create_task(do(item)))
                if len(running) >= at_once:
                    yield await running.popleft()
            while running:
                yield await running.popleft()
        finally:
            over.set()
            for one in running:
                one.cancel()
            await asyncio.gather(*running, return_exceptions=True)  # what they answer is no longer wanted

    async def close(self) -> None:
        await self._http.aclose()


def finished(coroutine: Coroutine[Any, Any, R]) -> R:
    """Return the result of a coroutine over a ``BlockingWire``. It needs no event loop, so a running one is no harm."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: R = end.value
        return result
    coroutine.close()
    raise RuntimeError(f"{coroutine!r} waits for an event loop, but the blocking client has none")


async def _each_of(response: httpx.Response) -> AsyncIterator[bytes]:
    for piece in response.iter_bytes():
        yield piece
