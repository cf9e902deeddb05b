"""How a replica follows the aliases: a long poll on the controller, a slow poll of the store, a heartbeat.

The controller is the fast path, the store the truth. While the controller is away the store is read often, and while
the store is away too the replica goes on serving what it holds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from services.classifier.aliases import Aliases, AliasReader, Known, heard, looked_up
from services.classifier.shelf import Serving, Shelf
from tornio.errors import NotFound, NotServable, Unavailable
from tornio.storage.port import ObjectStore

log = logging.getLogger(__name__)


class Controller(Protocol):
    """The controller as a replica sees it. Either method may raise anything, or never return."""

    async def watch(self, token: str | None, timeout_s: float) -> Mapping[str, Any]:
        """Where the aliases stand, as soon as that differs from what ``token`` stands for, or at the timeout.

        Returns ``{"token": str, "tasks": {full name: {"current": [version, revision] | None,
        "previous": str | None, "candidate": str | None}}}``. A token that it does not know is answered at once.
        """

    async def report(self, replica_id: str, report: Mapping[str, Any]) -> None:
        """A heartbeat with ``Shelf.report()``."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds. The defaults are measured against the swap's bar: all replicas within 1.5 s."""

    watch: float = 20.0
    """A long poll returns at the latest."""
    heartbeat: float = 1.0
    patience: float = 3.0
    """The controller counts as away when a heartbeat takes longer."""
    slow_poll: float = 15.0
    """Reads of the store while the controller answers."""
    fast_poll: float = 2.0
    """Reads of the store while it does not."""
    look_up: float = 0.2
    """The store is asked about one task that does not serve here at most so often: its neighbour may serve it."""
    new_task: float = 5.0
    """A request for a task that was just found waits so long for its first version."""


class Follower:
    """Keeps a shelf where the aliases are. Lives in one event loop; the shelf's work has a thread of its own."""

    def __init__(
        self,
        shelf: Shelf[Any],
        store: ObjectStore,
        controller: Controller | None,
        replica_id: str,
        pace: Pace | None = None,
    ) -> None:
        self._shelf = shelf
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
        """Returns when the shelf holds what it can: ready to serve.

        Waits for the store for as long as it takes (without it nothing is known), for slow models until the deadline.
        """
        while not await self._poll_once():
            await asyncio.sleep(self._pace.fast_poll)
        self._begin("load", self._load())
        self._begin("poll", self._poll())
        if self._controller is not None:
            self._begin("watch", self._watch(self._controller))
            self._begin("report", self._report(self._controller))
        if not await self._wait_until_settled(deadline_s):
            log.warning("Not all tasks could be loaded in %.0f s: serving without the rest", deadline_s)

    async def stop(self) -> None:
        """End the background tasks."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._loading.shutdown(wait=False)
        self._asking.shutdown(wait=False)

    def check(self) -> None:
        """Raises RuntimeError when a background task has died: the replica must then be replaced."""
        for task in self._tasks:
            if task.done():
                error = None if task.cancelled() else task.exception()
                raise RuntimeError(f"the task {task.get_name()!r} of this replica has died: {error!r}")

    async def require(self, task: str) -> Serving[Any]:
        """What serves the task; of one that is unknown here the store is asked first, though not often.

        Raises as ``Shelf.serving``.
        """
        try:
            return self._shelf.serving(task)
        except Unavailable:
            pass  # being loaded, unless it is settled that nothing loads
        except (NotFound, NotServable):
            error = await self._look_up(task)
            if error is not None:
                raise error from None
        await self._wait_until_settled(self._pace.new_task, task)
        return self._shelf.serving(task)

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
                    said = await controller.watch(token, self._pace.watch)
                self._apply(heard(self._known, {task: Aliases.from_message(a) for task, a in said["tasks"].items()}))
                token = said["token"]
            except Exception as error:  # noqa: BLE001 - whatever it is, the store is asked and the watch begins anew
                if token is not None:
                    log.info("The controller's watch broke off (%s): asking the store meanwhile", _short(error))
                    self._to_poll.set()
                token = None
                await asyncio.sleep(self._pace.heartbeat / 4)

    async def _report(self, controller: Controller) -> None:
        while True:
            self._to_report.clear()
            try:
                async with asyncio.timeout(self._pace.patience):
                    await controller.report(self._replica_id, self._shelf.report())
                self._heartbeat(answered=True)
            except Exception as error:  # noqa: BLE001 - whatever it is, the next heartbeat is due soon
                self._heartbeat(answered=False, error=error)
                await asyncio.sleep(self._pace.heartbeat / 4)
            await _wait(self._to_report, self._pace.heartbeat)

    def _heartbeat(self, answered: bool, error: Exception | None = None) -> None:
        if answered and not self._controller_answers:
            log.info("The controller answers again")
        elif not answered and self._controller_answers:
            log.warning("The controller does not answer (%s): following the store until it does", _short(error))
            self._to_poll.set()
        self._controller_answers = answered

    # The store

    async def _poll(self) -> None:
        while True:
            await _wait(self._to_poll, self._pace.slow_poll if self._controller_answers else self._pace.fast_poll)
            self._to_poll.clear()
            await self._poll_once()

    async def _poll_once(self) -> bool:
        before = self._known
        try:
            found, broken = await asyncio.to_thread(self._reader.read_all)
        except Exception as error:  # noqa: BLE001 - whatever it is, what is held goes on serving
            log.warning("The store cannot be read (%s): staying with what is known", _short(error))
            return False
        self._apply(looked_up(self._known, before, found, broken))
        return True

    async def _look_up(self, task: str) -> Exception | None:
        """Ask the store about one task; who comes while that runs, or soon after, shares the answer."""
        now = asyncio.get_running_loop().time()
        fresh = {name: (at, asked) for name, (at, asked) in self._asked.items() if now - at < self._pace.look_up}
        self._asked = fresh
        if task not in fresh:
            if len(fresh) >= _LOOK_UPS:
                return Unavailable("overloaded: too many unknown tasks are asked for, try again in a moment")
            fresh[task] = now, asyncio.create_task(self._ask(task))
        return await asyncio.shield(fresh[task][1])

    async def _ask(self, task: str) -> Exception | None:
        """Returns why nothing was learnt, if so. A reader of its own: the slow poll may be using the other one."""
        reading = asyncio.get_running_loop().run_in_executor(self._asking, AliasReader(self._store).read, task)
        try:
            async with asyncio.timeout(self._pace.patience):
                found = await reading
        except TimeoutError:
            return Unavailable(f"{task} is not known here and the object store does not answer: try again")
        except Exception as error:  # noqa: BLE001 - belongs to who asked
            return error
        self._apply(heard(self._known, {task: found}))
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
"""Unknown tasks that the store is asked about within ``Pace.look_up``: a flood of made-up names costs little."""


async def _wait(event: asyncio.Event, seconds: float | None) -> None:
    """Until the event is set, or so long. (Python 3.11's ``wait_for`` can swallow a cancellation.)"""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _short(error: BaseException | None) -> str:
    """One line of an error; those of Ray carry a remote traceback."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[-1]}" if lines else type(error).__name__
