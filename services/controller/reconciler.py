"""One look at one task: read answers, observe, decide, write the intent, act."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from jobs.running.port import JobRunner
from services.controller.fleet import Fleet
from services.controller.guidelines import Guidelines
from services.controller.observe import Observer
from services.controller.perform import Performer
from services.controller.sync import Sync
from tornio.annotation.port import AnnotationTool
from tornio.errors import Changed, TornioError
from tornio.loop.acts import Act, owed
from tornio.loop.advance import advance
from tornio.loop.observation import Observation
from tornio.loop.phase import Phase, Standing, standing
from tornio.schemas.loop import LoopState
from tornio.storage import documents
from tornio.storage.port import ObjectStore
from tornio.tasks import Task

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """The outcome of one look. ``busy``: something changed, so look again immediately.

    ``gone_accounts``: the annotators whose accounts were deleted in the annotation tool, and whose answers stay.
    ``accounts``: names of annotators, by id. ``datasets``: the data sets of all its batches. ``unsettled``: an outside
    service failed, or an act is still to be done.
    """

    state: LoopState
    seen: Observation
    standing: Standing
    busy: bool
    gone_accounts: tuple[str, ...] = ()
    accounts: Mapping[str, str] = field(default_factory=dict)
    datasets: frozenset[str] = frozenset()
    unsettled: bool = False


@dataclass
class Reconciler:
    """Reconciles one task. It only keeps caches, so that a new one, in another process, can continue."""

    store: ObjectStore
    task: Task
    annotation: AnnotationTool
    runner: JobRunner
    fleet: Fleet
    clock: Callable[[], datetime]
    _sync: Sync = field(init=False)
    _observer: Observer = field(init=False)
    _performer: Performer = field(init=False)
    _guidelines: Guidelines = field(init=False)
    _owed: tuple[Act, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        self._sync = Sync(self.task, self.annotation, self.clock)
        self._observer = Observer(self.store, self.task, self.runner, self.fleet, self.clock)
        self._guidelines = Guidelines(self.task, self.annotation)
        self._performer = Performer(self.store, self.task, self.annotation, self.runner, self.clock)

    def look(self) -> Look:
        """Look at the task once. A failing outside service is reported in the standing; everything else continues.

        Raises the errors of the store, because without it nothing is known.
        """
        self.task.refresh()
        state, etag = documents.load(self.store, self.task.keys.loop, LoopState)
        if state.generation > self.task.document.generation:  # another controller has seen the labels change meanwhile
            self.task.refresh()
        troubles: list[str] = []
        try:
            polled = self._sync.poll(state)
            self._guidelines.refresh(polled.batches, polled.shown)
        except TornioError as error:
            polled = self._sync.last
            troubles.append(f"the annotation tool: {error}")
        seen = self._observer.observe(state, polled)
        wanted = advance(state, seen)
        if wanted != state:
            try:
                documents.replace(self.store, self.task.keys.loop, wanted, etag)
            except Changed:  # changed by a user or another controller
                return Look(state, seen, standing(state, seen), busy=True)
        acts = owed(wanted, seen)
        for act in acts:
            try:
                self._performer.perform(act)
            except TornioError as error:
                log.warning("%s: %s failed: %s", self.task.spec.full_name, type(act).__name__, error)
                troubles.append(str(error))
        present = standing(wanted, seen)
        if troubles:
            present = Standing(Phase.ATTENTION, f"{'; '.join(troubles)} (meanwhile {present.phase}: {present.why})")
        changed = wanted != state or acts != self._owed
        self._owed = acts
        busy = changed and not troubles
        return Look(wanted, seen, present, busy, polled.gone, polled.accounts, polled.datasets, bool(troubles or acts))
