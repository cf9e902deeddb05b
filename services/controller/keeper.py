"""Keeps every task reconciled: finds the tasks, and looks at each as often as it needs."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from jobs.running.port import JobRunner
from services.controller.activity import Activity
from services.controller.alarm import Alarm
from services.controller.fleet import Fleet
from services.controller.lease import LeaseKeeper
from services.controller.pace import STEADY_S, next_pause, quiet_pause
from services.controller.reconciler import Look, Reconciler
from services.controller.runs import EVERY_S, RunKeeper
from tornio.annotation.port import AnnotationTool
from tornio.errors import NotFound, TornioError
from tornio.loop.phase import Phase, Standing
from tornio.settings import UploadSettings
from tornio.storage.port import ObjectStore
from tornio.storage.probe import probe
from tornio.tasks import Task, Tasks
from tornio.uploads import expire

log = logging.getLogger(__name__)

ANSWERS_S = 2.0
"""Seconds between looks at what has moved in the annotation tool, for all tasks that wait for answers together. Tasks
that somebody is answering are also looked at in between: see ``pace``."""
ANSWERED_S = 1.0
"""Shortest time in seconds between two looks that messages of the annotation tool cause at a task. What moves in
between is found by ``ANSWERS_S``, so that a flood of messages costs no more."""
DISCOVER_S = 5.0
"""Shortest pause in seconds between listings of tasks: it grows while no task is new. The gateway nudges for one."""
EXPIRE = timedelta(hours=1)
"""Time between two looks at which uploads are out of date: they are kept for days."""
PROVE_AGAIN_S = 10.0
"""Seconds until a store that failed its probe is probed again: it may have been away, or get replaced."""


@dataclass
class Watched:
    """A task, the thread that looks at it, and what the last look found. ``moved``: when something last happened, in
    monotonic seconds. ``answered``: when the annotation tool last said so."""

    name: tuple[str, str]
    alarm: Alarm = field(default_factory=Alarm)
    moved: float = field(default_factory=time.monotonic)
    answered: float = -math.inf
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
    _discover: Alarm = field(default_factory=Alarm)

    def run(self) -> None:
        """Find tasks until ``end``, and give each its thread. A store that lets two writers win is not touched."""
        self._prove_store()
        threading.Thread(target=self._follow_answers, daemon=True, name="answers").start()
        tasks, moved = Tasks(self.store), time.monotonic()
        while not self._end.is_set():
            before = set(self.watched)
            try:
                for name in list(tasks.names(known=before)):
                    self._watch(name)
                self._expire(tasks.workspaces())
            except TornioError as error:
                log.warning("The tasks cannot be listed: %s", error)
                moved = time.monotonic()
            if not self.watched.keys() <= before:
                moved = time.monotonic()
            if self._discover.wait(max(DISCOVER_S, quiet_pause(time.monotonic() - moved))):
                moved = time.monotonic()

    def _follow_answers(self) -> None:
        """Wake the tasks that have new answers. Without it, each would be looked at later."""
        activity, troubled = Activity(self.annotation), False
        while not self._end.wait(ANSWERS_S):
            looks = {name: watched.last for name, watched in list(self.watched.items())}
            datasets = {name: look.datasets for name, look in looks.items() if look is not None and look.datasets}
            try:
                for name in activity.moved(datasets):
                    self.nudge(name)
                troubled = False
            except TornioError as error:
                if not troubled:
                    log.warning("What has moved in the annotation tool cannot be read, so tasks look later: %s", error)
                troubled = True
            except Exception:  # a defect of Tornio, which must not end this thread
                log.exception("What has moved in the annotation tool cannot be read.")

    def _expire(self, workspaces: Iterable[str]) -> None:
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
        watched = self.watched.get(name)
        if watched is not None:
            watched.alarm.ring()
        else:
            self._discover.ring()

    def answered(self, workspace: str, dataset: str) -> None:
        """Look now at the tasks that have this data set, because the annotation tool says that something moved there.

        Nothing depends on it: ``_follow_answers`` finds the same a little later. A data set of no task is ignored.
        """
        now = time.monotonic()
        for (where, _), watched in list(self.watched.items()):
            known = where == workspace and watched.last is not None and dataset in watched.last.datasets
            if known and now - watched.answered >= ANSWERED_S:
                watched.answered = now
                watched.alarm.ring()

    def end(self) -> None:
        self._end.set()
        self._discover.ring()
        for watched in list(self.watched.values()):
            watched.alarm.ring()

    def _keep(self, watched: Watched) -> None:
        reconciler: Reconciler | None = None
        lease: LeaseKeeper | None = None
        nudged = True
        while not self._end.is_set():
            pause = STEADY_S
            try:
                if reconciler is None or lease is None:
                    task = self._open(watched)
                    if task is None:
                        return
                    reconciler = Reconciler(self.store, task, self.annotation, self.runner, self.fleet, self.clock)
                    watched.runs = RunKeeper(self.store, task.keys, self.runner, self.clock)
                    lease = LeaseKeeper(self.store, task.keys.lease, self.holder, time.monotonic)
                if lease.held(nudged):
                    watched.last = reconciler.look()
                    watched.standing = watched.last.standing
                    pause = _pause(watched, watched.last)
                    if watched.runs is not None and watched.runs.look(nudged):
                        pause = min(pause, EVERY_S)
                    if not lease.rest(pause):
                        pause, _ = lease.waits_for()
                else:
                    pause, why = lease.waits_for()
                    watched.standing = Standing(Phase.WAITING, why)
            except TornioError as error:
                log.warning("%s/%s: %s", *watched.name, error)
                watched.standing, pause = Standing(Phase.ATTENTION, str(error)), STEADY_S
                if isinstance(error, NotFound):  # the task may have been deleted: open it again
                    reconciler = None
            except Exception as error:  # a defect of Tornio: show it in the status, and keep the other tasks going
                log.exception("%s/%s", *watched.name)
                watched.standing = Standing(Phase.ATTENTION, f"defect: {type(error).__name__}: {error}")
                reconciler, pause = None, STEADY_S
            self.after_look(watched)
            nudged = watched.alarm.wait(pause)
            if nudged:
                watched.moved = time.monotonic()

    def _open(self, watched: Watched) -> Task | None:
        """Return the task. Return None, and forget the task, if it was deleted."""
        try:
            return Tasks(self.store).open(*watched.name)
        except NotFound as error:
            log.info("%s/%s: %s", *watched.name, error)
            watched.gone = True
            self.watched.pop(watched.name, None)
            self._discover.ring()  # it may have been made again meanwhile
            self.after_look(watched)
            return None


def _pause(watched: Watched, look: Look) -> float:
    now = time.monotonic()
    if look.busy:
        watched.moved = now
    still = min(look.seen.quiet.total_seconds(), look.seen.pool_quiet.total_seconds(), now - watched.moved)
    return next_pause(look, max(still, 0.0))
