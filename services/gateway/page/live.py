"""Tells open pages when there is something new to see, by server-sent events."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from services.gateway.callers import Caller
from services.gateway.port import Backend
from tornio.api import TaskName, TaskStatus
from tornio.errors import Throttled, TornioError

EVERY_S = 2.0
"""Seconds between two looks at a task that somebody watches, however many do."""
BEAT_S = 10.0
"""Seconds after which a stream says that it is alive, so that a proxy keeps the connection."""
LIFE_S = 24.0
"""Seconds after which a stream ends, and the browser comes back. A replica that leaves waits for it: Serve gives it
30 s. And a session that has ended is noticed."""
MOST_OF_KEY, MOST = 8, 24
"""Streams of one key, and of all, in a replica. Each takes one of the places for requests."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What a page needs to keep itself up to date: where events come from, and the mark of what it shows."""

    address: str
    mark: str


def mark_of(status: TaskStatus) -> str:
    """Return a digest of what a page shows of a task. Ages, which change by themselves, do not count."""
    shown = status.model_dump_json(exclude={"replicas": {"__all__": {"age_s"}}})
    return hashlib.sha256(shown.encode()).hexdigest()[:16]


@dataclass
class Live:
    """The streams of this replica. ``now`` and ``sleep``: a clock in seconds, and how to wait by it."""

    backend: Backend
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _looks: dict[TaskName, tuple[float, asyncio.Future[str | None]]] = field(default_factory=dict)
    _open: Counter[str] = field(default_factory=Counter)

    def events(self, task: TaskName, caller: Caller) -> AsyncIterator[str]:
        """Return a stream that begins with the present mark, and has each new one. Raises Throttled."""
        if self._is_full(caller.name):
            raise Throttled("Too many pages are open already. This one shows news when you load it again.", BEAT_S)
        return self._events(task, caller.name)

    async def _events(self, task: TaskName, key: str) -> AsyncIterator[str]:
        if self._is_full(key):  # others have begun since this one was let in
            yield f"retry: {BEAT_S * 1000:.0f}\n\n"
            return
        begun, beat, shown = self.now(), self.now(), ""
        self._open[key] += 1
        try:
            yield "retry: 1000\n\n"
            while self.now() < begun + LIFE_S:
                mark = await self._mark(task)
                if mark not in (None, shown):
                    shown, beat = mark or "", self.now()
                    yield f"data: {mark}\n\n"
                elif self.now() >= beat + BEAT_S:
                    beat = self.now()
                    yield ": alive\n\n"
                await self.sleep(EVERY_S)
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]

    def _is_full(self, key: str) -> bool:
        return self._open[key] >= MOST_OF_KEY or self._open.total() >= MOST

    async def _mark(self, task: TaskName) -> str | None:
        """Return the mark of a task as it was a moment ago, None if that is unknown. All streams share one look."""
        at, look = self._looks.get(task, (0.0, None))
        if look is None or (look.done() and self.now() >= at + EVERY_S):
            self._looks = {name: one for name, one in self._looks.items() if self.now() < one[0] + LIFE_S}
            look = asyncio.ensure_future(self._look(task))
            self._looks[task] = self.now(), look
        return await asyncio.shield(look)  # a reader that leaves must not end it for the others

    async def _look(self, task: TaskName) -> str | None:
        try:
            return mark_of(await self.backend.status(task))
        except TornioError:  # the page says so when it is loaded the next time
            return None
