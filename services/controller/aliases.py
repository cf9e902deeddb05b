"""Where the aliases of all tasks stand, for replicas that wait to be told."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from tornio.loop.observation import Observation

Wanted = dict[str, dict[str, Any]]


def wanted(seen: Observation) -> dict[str, Any]:
    """What replicas should hold for a task: where `current` stands, what was before it, what comes."""
    current, candidate = seen.current, seen.candidate
    return {
        "current": [current.version, current.revision] if current else None,
        "previous": current.previous if current else None,
        "candidate": candidate.version if candidate else None,
    }


class AliasBoard:
    """A board that can be waited at: each change makes a new token. For one event loop."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._turn = 0
        self._tasks: Wanted = {}
        self._changed = asyncio.Event()

    def post(self, task: str, positions: dict[str, Any] | None) -> None:
        """Say where a task's aliases stand; None: the task is gone."""
        if self._tasks.get(task) == positions:
            return
        self._tasks = {name: p for name, p in {**self._tasks, task: positions}.items() if p is not None}
        self._turn += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait(self, token: str | None, timeout_s: float) -> dict[str, Any]:
        """The whole board: at once if it is not the one of ``token``, else when it changes or after the timeout."""
        if token == self._token():
            with suppress(TimeoutError):  # nothing has changed: the same board, with the same token
                async with asyncio.timeout(timeout_s):
                    await self._changed.wait()
        return {"token": self._token(), "tasks": self._tasks}

    def _token(self) -> str:
        return f"{self._name}:{self._turn}"
