"""Work of a process that goes on beside its requests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress

LAST_S = 5.0
"""Seconds that the last piece of work may take when the process ends."""


class Background:
    """Runs in one event loop. ``run``: goes on until it is cancelled. ``last``: what is left to do then."""

    def __init__(
        self, name: str, run: Callable[[], Coroutine[None, None, None]], last: Callable[[], Awaitable[None]]
    ) -> None:
        self._name, self._run, self._last = name, run, last
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._running = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        """End, after the last piece of work."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_S):
                await self._last()
