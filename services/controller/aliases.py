"""The board on which replicas of the classifier see where the aliases of all tasks are."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from services.messages import Aliases, AliasUpdate


class AliasBoard:
    """The aliases of all tasks, for callers that wait for a change. Each change makes a new token.

    For one event loop. ``name`` must differ from that of every earlier board, so that a replica's old token is unknown.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._turn = 0
        self._tasks: Mapping[str, Aliases] = {}
        self._changed = asyncio.Event()

    def post(self, task: str, aliases: Aliases | None) -> None:
        """Set the aliases of a task. None means that the task was deleted."""
        if self._tasks.get(task) == aliases:
            return
        others = {name: posted for name, posted in self._tasks.items() if name != task}
        self._tasks = others if aliases is None else {**others, task: aliases}
        self._turn += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait(self, token: str | None, timeout_s: float) -> AliasUpdate:
        """Return the whole board: at once if ``token`` is not its present one, else at a change or the timeout."""
        if token == self._token():
            with suppress(TimeoutError):  # nothing has changed: the same board, with the same token
                async with asyncio.timeout(timeout_s):
                    await self._changed.wait()
        return AliasUpdate(self._token(), self._tasks)

    def _token(self) -> str:
        return f"{self._name}:{self._turn}"
