"""Versions that a request names, such as an older one: from the shelf, or loaded for it beside the shelf.

What is loaded here never takes the place of a version that an alias names: it has a room, a thread and a bound of its
own. When the room is full, versions that were asked for least recently are dropped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from services.classifier.follow import Follower
from services.classifier.shelf import Loaded, Serving, Shelf
from tornio.errors import NotFound, Unavailable

log = logging.getLogger(__name__)

M = TypeVar("M")

MOST_LOADING = 20
"""Most versions that wait to be loaded. A flood of made-up names costs little."""
WAIT_S = 20.0
"""Seconds that a request waits for its version."""


class ByName(Generic[M]):
    """Runs in one event loop.

    ``load(task, version)`` as for the shelf; it is called in one thread. ``room``: bytes that all versions may take
    that were loaded here. One version may exceed it alone.
    """

    def __init__(
        self,
        shelf: Shelf[M],
        follower: Follower,
        load: Callable[[str, str], Loaded[M]],
        room: int,
        wait_s: float = WAIT_S,
    ) -> None:
        self._shelf = shelf
        self._follower = follower
        self._load = load
        self._room = room
        self._wait_s = wait_s
        self._held: dict[tuple[str, str], Loaded[M]] = {}
        """The version that was asked for least recently comes first."""
        self._loading: dict[tuple[str, str], asyncio.Task[Loaded[M] | Exception]] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="loading-by-name")

    async def require(self, task: str, name: str) -> Serving[M]:
        """Return what answers for a version, or for ``previous``. Its revision is 0 unless it serves the task.

        Raises NotFound for an unknown task or version, IntegrityError for one that must not answer, and Unavailable if
        it is not loaded in time.
        """
        await self._follower.know(task)
        version, serving = self._shelf.named(task, name)
        if serving is not None:
            return serving
        loaded = self._held.pop((task, version), None)
        if loaded is None:
            loaded = await self._loaded(task, version)
        self._keep((task, version), loaded)
        return Serving(version, 0, loaded.model, loaded.taught_by)

    async def unload(self, task: str) -> None:
        """Drop the versions of the task that were loaded here. Requests under way end as usual. Raises NotFound."""
        await self._follower.know(task)
        self._held = {key: loaded for key, loaded in self._held.items() if key[0] != task}

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False)

    async def _loaded(self, task: str, version: str) -> Loaded[M]:
        key = (task, version)
        if key not in self._loading:
            if len(self._loading) >= MOST_LOADING:
                raise Unavailable("This replica is overloaded: too many versions wait to be loaded. Try again.")
            self._loading[key] = asyncio.create_task(self._work(key))
        try:
            async with asyncio.timeout(self._wait_s):
                outcome = await asyncio.shield(self._loading[key])
        except TimeoutError:
            raise Unavailable(f"{task}: {version} is being loaded. Try again in a moment.") from None
        if isinstance(outcome, NotFound):
            raise NotFound(f"{task} has no version {version} that can be loaded: {outcome}")
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def _work(self, key: tuple[str, str]) -> Loaded[M] | Exception:
        """Load a version. A request that does not wait any longer finds it held when it comes again."""
        log.info("%s: loading %s, because a request names it", *key)
        try:
            loaded = await asyncio.get_running_loop().run_in_executor(self._thread, self._load, *key)
        except Exception as error:  # noqa: BLE001 - it belongs to the requests that wait
            return error
        else:
            self._keep(key, loaded)
            return loaded
        finally:
            del self._loading[key]

    def _keep(self, key: tuple[str, str], loaded: Loaded[M]) -> None:
        self._held.pop(key, None)
        self._held[key] = loaded
        used = sum(one.size for one in self._held.values())
        for least in list(self._held)[:-1]:
            if used <= self._room:
                return
            used -= self._held.pop(least).size
            log.info("%s: %s is dropped, because there is no room for it", *least)
