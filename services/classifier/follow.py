"""How a replica follows the aliases: a long poll of the controller, a slow poll of the store, a heartbeat.

The controller is the fast path, the store is the truth. While the controller is away, the store is read often. While
the store is away too, the replica goes on serving what it holds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from services.classifier.aliases import AliasReader, Known, heard, looked_up
from services.classifier.shelf import Serving, Shelf
from services.messages import Aliases, AliasUpdate, Heartbeat
from tornio.errors import NotFound, NotServable, Unavailable
from tornio.storage.port import ObjectStore

log = logging.getLogger(__name__)


class Controller(Protocol):
    """The controller as a replica sees it. Each method may raise any error, or never return."""

    async def watch(self, token: str | None, timeout_s: float) -> AliasUpdate:
        """Return the aliases as soon as they differ from those that ``token`` identifies, or at the timeout.

        Returns at once if the controller does not know the token.
        """

    async def report(self, replica_id: str, heartbeat: Heartbeat) -> None:
        """Send a heartbeat: ``Shelf.report()``."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds. The defaults were measured against the bar for a swap: all replicas within 1.5 s."""

    watch: float = 20.0
    """A long poll returns after this time at the latest."""
    heartbeat: float = 3.0
    """Time between heartbeats without news. One with news is sent at once."""
    again: float = 0.25
    """Time until a call that failed is made again."""
    patience: float = 3.0
    """The controller counts as away when a heartbeat takes longer than this."""
    slow_poll: float = 15.0
    """Time between reads of the store while the controller answers. It doubles with each read that finds no change."""
    slowest_poll: float = 60.0
    """Longest time between reads of the store."""
    fast_poll: float = 2.0
    """Time between reads of the store while the controller does not answer."""
    look_up: float = 0.2
    """Shortest time between reads of the store about a task that does not serve here: another replica may serve it."""
    new_task: float = 20.0
    """Longest time that a request waits for the version of a task that was just found, or that slept."""


class Follower:
    """Keeps a shelf in step with the aliases. Runs in one event loop; the shelf's work has a thread of its own."""

    def __init__(
        self,
        shelf: Shelf[Any],
        store: ObjectStore,
        controller: Controller | None,
        replica_id: str,
        pace: Pace | None = None,
        report: Callable[[], Heartbeat] | None = None,
    ) -> None:
        """``report``: what a heartbeat says, if it is more than what the shelf reports."""
        self._shelf = shelf
        self._says = report or shelf.report
        self._store = store
        self._reader = AliasReader(store)
        self._controller = controller
        self._replica_id = replica_id
        self._pace = pace or Pace()
        self._known: Known = {}
        self._controller_answers = controller is not None
        self._loading = ThreadPoolExecutor(1, thread_name_prefix="loading")
        self._asking = ThreadPoolExecutor(2, thread_name_prefix="asking")
        self._to_load = asyncio.Event()
        self._to_report = asyncio.Event()
        self._to_poll = asyncio.Event()
        self._progress = asyncio.Condition()
        self._asked: dict[str, tuple[float, asyncio.Task[Exception | None]]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, deadline_s: float) -> None:
        """Return when the shelf holds all that it can hold, and is ready to serve.

        Waits for the store as long as it takes, because nothing is known without it. Waits for slow models until the
        deadline.
        """
        while not await self._poll_once():
            await asyncio.sleep(self._pace.fast_poll)
        self._begin("load", self._load())
        self._begin("poll", self._poll())
        if self._controller is not None:
            self._begin("watch", self._watch(self._controller))
            self._begin("report", self._report(self._controller))
        if not await self._wait_until_settled(deadline_s):
            log.warning("Not all tasks could be loaded in %.0f s. This replica serves without the rest.", deadline_s)

    async def stop(self) -> None:
        """End the background tasks."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._loading.shutdown(wait=False)
        self._asking.shutdown(wait=False)

    def check(self) -> None:
        """Raises RuntimeError when a background task has ended: the replica must then be replaced."""
        for task in self._tasks:
            if task.done():
                error = None if task.cancelled() else task.exception()
                raise RuntimeError(f"The background task {task.get_name()!r} of this replica has died: {error!r}.")

    async def require(self, task: str) -> Serving[Any]:
        """Return what serves the task. The store is asked first, though not often, about an unknown task.

        Raises the errors of ``Shelf.serving``.
        """
        serving = await self._asked_for(task)
        if serving is None:
            await self._wait_until_settled(self._pace.new_task, task)
        return serving or self._shelf.serving(task)

    async def ask(self, task: str) -> Serving[Any]:
        """Return what serves the task, as ``require`` does, without waiting for a model: it is loaded from now on."""
        return await self._asked_for(task) or self._shelf.serving(task)

    def aliases(self, task: str) -> Aliases | None:
        """Return the task's aliases as they are known here."""
        return self._known.get(task)

    async def know(self, task: str) -> None:
        """Return if the task exists. The store is asked about one that is unknown. Raises NotFound, Unavailable."""
        if not self._shelf.has(task) and (error := await self._look_up(task)) is not None:
            raise error from None

    async def _asked_for(self, task: str) -> Serving[Any] | None:
        """Return what serves the task, or None if it may serve soon."""
        try:
            return self._shelf.serving(task)
        except Unavailable:
            self._to_load.set()  # it was just woken, or is being loaded, or nothing of it can be loaded
        except (NotFound, NotServable):
            self._to_load.set()  # a task that slept was woken
            error = await self._look_up(task)
            if error is not None:
                raise error from None
        return None

    def _begin(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    def _apply(self, known: Known) -> None:
        if known != self._known:
            self._known = known
            self._shelf.apply(known)
            self._to_load.set()
            self._to_report.set()

    # The controller

    async def _watch(self, controller: Controller) -> None:
        token: str | None = None
        while True:
            try:
                async with asyncio.timeout(self._pace.watch + self._pace.patience):
                    update = await controller.watch(token, self._pace.watch)
                self._apply(heard(self._known, update.tasks))
                token = update.token
            except Exception as error:  # noqa: BLE001 - after any error the store is asked and the watch begins anew
                if token is not None:
                    log.info("The watch of the controller broke off (%s). The store is asked meanwhile.", _short(error))
                    self._to_poll.set()
                    self._to_report.set()  # shows at once whether another controller answers
                token = None
                await asyncio.sleep(self._pace.again)

    async def _report(self, controller: Controller) -> None:
        while True:
            self._to_report.clear()
            try:
                async with asyncio.timeout(self._pace.patience):
                    await controller.report(self._replica_id, self._says())
                self._heartbeat(answered=True)
            except Exception as error:  # noqa: BLE001 - after any error the next heartbeat is due soon
                self._heartbeat(answered=False, error=error)
                await asyncio.sleep(self._pace.again)
            await _wait(self._to_report, self._pace.heartbeat)

    def _heartbeat(self, answered: bool, error: Exception | None = None) -> None:
        if answered and not self._controller_answers:
            log.info("The controller answers again.")
        elif not answered and self._controller_answers:
            log.warning(
                "The controller does not answer (%s). This replica follows the store until it does.", _short(error)
            )
            self._to_poll.set()
        self._controller_answers = answered

    # The store

    async def _poll(self) -> None:
        slow = self._pace.slow_poll
        while True:
            before = self._known
            await _wait(self._to_poll, slow if self._controller_answers else self._pace.fast_poll)
            self._to_poll.clear()
            await self._poll_once()
            calm = self._controller_answers and self._known == before
            slow = min(2 * slow, self._pace.slowest_poll) if calm else self._pace.slow_poll

    async def _poll_once(self) -> bool:
        before = self._known
        try:
            stored, broken = await asyncio.to_thread(self._reader.read_all)
        except Exception as error:  # noqa: BLE001 - after any error the replica goes on serving what it holds
            log.warning("The store cannot be read (%s). This replica stays with what it knows.", _short(error))
            return False
        self._apply(looked_up(self._known, before, stored, broken))
        return True

    async def _look_up(self, task: str) -> Exception | None:
        """Ask the store about one task. Requests that come meanwhile, or soon after, share the answer."""
        now = asyncio.get_running_loop().time()
        fresh = {name: (at, asked) for name, (at, asked) in self._asked.items() if now - at < self._pace.look_up}
        self._asked = fresh
        if task not in fresh:
            if len(fresh) >= _LOOK_UPS:
                return Unavailable(
                    "This replica is overloaded: too many unknown tasks are asked for. Try again in a moment."
                )
            fresh[task] = now, asyncio.create_task(self._ask(task))
        return await asyncio.shield(fresh[task][1])

    async def _ask(self, task: str) -> Exception | None:
        """Return the error if nothing was learnt. Uses a reader of its own: the slow poll may be using the other."""
        reading = asyncio.get_running_loop().run_in_executor(self._asking, AliasReader(self._store).read, task)
        try:
            async with asyncio.timeout(self._pace.patience):
                aliases = await reading
        except TimeoutError:
            return Unavailable(f"The task {task} is unknown here and the object store does not answer. Try again.")
        except Exception as error:  # noqa: BLE001 - it belongs to the caller
            return error
        self._apply(heard(self._known, {task: aliases}))
        return None

    # The shelf's work

    async def _load(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._to_load.clear()
            wait = await loop.run_in_executor(self._loading, self._shelf.work)
            async with self._progress:
                self._progress.notify_all()
            if wait == 0:
                self._to_report.set()
            else:
                await _wait(self._to_load, wait)

    async def _wait_until_settled(self, seconds: float, task: str | None = None) -> bool:
        try:
            async with asyncio.timeout(seconds), self._progress:
                await self._progress.wait_for(lambda: self._shelf.settled(task))
        except TimeoutError:
            return False
        return True


_LOOK_UPS = 20
"""Most unknown tasks that the store is asked about within ``Pace.look_up``: a flood of made-up names costs little."""


async def _wait(event: asyncio.Event, seconds: float | None) -> None:
    """Wait until the event is set or the time is over. (Python 3.11's ``wait_for`` can swallow a cancellation.)"""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _short(error: BaseException | None) -> str:
    """Return one line of an error. Errors of Ray carry a remote traceback."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[-1]}" if lines else type(error).__name__
