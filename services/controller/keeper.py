"""Keeps every task reconciled: finds the tasks, and looks at each as often as it needs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from jobs.running.port import JobRunner
from services.controller.fleet import Fleet
from services.controller.lease import LeaseKeeper
from services.controller.reconciler import Look, Reconciler
from services.controller.runs import EVERY_S, RunKeeper
from tornio.annotation.port import AnnotationTool
from tornio.errors import NotFound, TornioError
from tornio.loop.phase import Phase, Standing
from tornio.loop.trial import terms
from tornio.settings import UploadSettings
from tornio.storage.port import ObjectStore
from tornio.storage.probe import probe
from tornio.tasks import Task, Tasks
from tornio.uploads import expire

log = logging.getLogger(__name__)

BUSY_S = 0.02
"""Seconds to the next look while things move: an actor that works needs a moment."""
WATCH_S = 0.25
"""Seconds between looks at a task with open batches or with runs."""
RUN_S = 0.1
"""Seconds between looks at a run or a swap: the next step waits for it."""
TRIAL_S = 1.0
"""Seconds between looks at a trial on live traffic: replicas send their counts as often."""
SLOW_WATCH_S = 2.0
"""Longest pause between looks at open batches, in seconds: the pause grows while nobody answers."""
IDLE_S = 2.0
"""Seconds between looks at a task that waits, is paused or has stopped; a nudge wakes it."""
DISCOVER_S = 5.0
"""Seconds between listings of tasks; the gateway nudges for a new one."""
EXPIRE = timedelta(hours=1)
"""Time between two looks at which uploads are out of date: they are kept for days."""
PROVE_AGAIN_S = 10.0
"""Seconds until a store that failed its probe is probed again: it may have been away, or get replaced."""
TROUBLE_S = 2.0
"""Seconds until the next look after a look that failed."""


@dataclass
class Watched:
    """A task, the thread that looks at it, and what the last look found."""

    name: tuple[str, str]
    wake: threading.Event = field(default_factory=threading.Event)
    runs: RunKeeper | None = None
    last: Look | None = None
    thread: threading.Thread | None = None
    standing: Standing = field(default_factory=lambda: Standing(Phase.WAITING, "not looked at yet"))
    gone: bool = False


@dataclass
class Keeper:
    """Runs one thread per task. ``after_look`` is called in that thread after each look."""

    store: ObjectStore
    annotation: AnnotationTool
    runner: JobRunner
    fleet: Fleet
    holder: str
    after_look: Callable[[Watched], None]
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    watched: dict[tuple[str, str], Watched] = field(default_factory=dict)
    trouble: str | None = None
    """Why this keeper cannot begin. None means that it has begun."""
    uploads: UploadSettings = field(default_factory=UploadSettings)
    _expired: datetime | None = None
    _end: threading.Event = field(default_factory=threading.Event)
    _discover: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Find tasks until ``end``, and give each its thread. A store that lets two writers win is not touched."""
        self._prove_store()
        tasks = Tasks(self.store)
        while not self._end.is_set():
            try:
                names = list(tasks.names())
                for name in names:
                    self._watch(name)
                self._expire({workspace for workspace, _ in names})
            except TornioError as error:
                log.warning("The tasks cannot be listed: %s", error)
            self._discover.wait(DISCOVER_S)
            self._discover.clear()

    def _expire(self, workspaces: Collection[str]) -> None:
        """Delete uploads that are out of date, once an hour."""
        now = self.clock()
        if self._expired is not None and now - self._expired < EXPIRE:
            return
        self._expired = now
        for workspace in workspaces:
            try:
                expire(self.store, workspace, self.uploads, now)
            except TornioError as error:
                log.warning("The uploads of %s that are out of date were not deleted: %s", workspace, error)

    def _watch(self, name: tuple[str, str]) -> None:
        """Start the task's thread if it is not running."""
        watched = self.watched.setdefault(name, Watched(name))
        if watched.thread is None or not watched.thread.is_alive():
            watched.thread = threading.Thread(target=self._keep, args=(watched,), daemon=True, name="/".join(name))
            watched.thread.start()

    def _prove_store(self) -> None:
        while not self._end.is_set():
            try:
                probe(self.store)
            except TornioError as error:
                log.error("The object store cannot be used: %s", error)
                self.trouble = str(error)
                self._end.wait(PROVE_AGAIN_S)
            else:
                self.trouble = None
                return

    def nudge(self, name: tuple[str, str]) -> None:
        """Look at this task now. A new task is looked for first."""
        if name in self.watched:
            self.watched[name].wake.set()
        else:
            self._discover.set()

    def end(self) -> None:
        self._end.set()
        self._discover.set()
        for watched in self.watched.values():
            watched.wake.set()

    def _keep(self, watched: Watched) -> None:
        reconciler: Reconciler | None = None
        lease: LeaseKeeper | None = None
        nudged = True
        while not self._end.is_set():
            pause = WATCH_S
            try:
                if reconciler is None or lease is None:
                    task = self._open(watched)
                    if task is None:
                        return
                    reconciler = Reconciler(self.store, task, self.annotation, self.runner, self.fleet, self.clock)
                    watched.runs = RunKeeper(self.store, task.keys, self.runner, self.clock)
                    lease = LeaseKeeper(self.store, task.keys.lease, self.holder, time.monotonic)
                if lease.held():
                    watched.last = reconciler.look()
                    watched.standing = watched.last.standing
                    pause = _pause(watched.last)
                    if watched.runs is not None and watched.runs.look(nudged):
                        pause = min(pause, EVERY_S)
                else:
                    watched.standing = Standing(Phase.WAITING, lease.waits_for())
            except TornioError as error:
                log.warning("%s/%s: %s", *watched.name, error)
                watched.standing = Standing(Phase.ATTENTION, str(error))
                pause = TROUBLE_S
                if isinstance(error, NotFound):  # the task may have been deleted: open it again
                    reconciler = None
            except Exception as error:  # a defect of Tornio: show it in the status, and keep the other tasks going
                log.exception("%s/%s", *watched.name)
                watched.standing = Standing(Phase.ATTENTION, f"defect: {type(error).__name__}: {error}")
                pause, reconciler = TROUBLE_S, None
            self.after_look(watched)
            nudged = watched.wake.wait(pause)
            watched.wake.clear()

    def _open(self, watched: Watched) -> Task | None:
        """Return the task. Return None, and forget the task, if it was deleted."""
        try:
            return Tasks(self.store).open(*watched.name)
        except NotFound as error:
            log.info("%s/%s: %s", *watched.name, error)
            watched.gone = True
            self.watched.pop(watched.name, None)
            self.after_look(watched)
            return None


def _pause(look: Look) -> float:
    if look.busy:
        return BUSY_S
    state = look.state
    if state.train or state.gate or state.query or (state.swap and terms(state) is None):
        return RUN_S
    pause = min(max(look.seen.quiet.total_seconds() / 20, WATCH_S), SLOW_WATCH_S) if state.batches else IDLE_S
    return min(pause, TRIAL_S) if state.swap else pause
