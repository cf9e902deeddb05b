"""Runs that users request: start, retry and end them, according to the documents in the store."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from jobs.running.port import JobRunner, RunPhase, RunStatus
from tornio.errors import TornioError
from tornio.runs import RunReader, RunRecord, RunState, pause_after
from tornio.schemas.keys import TaskKeys
from tornio.schemas.runs import RunFailure
from tornio.storage import documents
from tornio.storage.port import ObjectStore

log = logging.getLogger(__name__)
EVERY_S = 1.0
"""Seconds between looks at a task's active runs: each look queries the cluster, and a run takes far longer."""
IDLE_S = 10.0
"""Seconds between looks for new requests; a nudge causes a look immediately."""


@dataclass(frozen=True, slots=True)
class Start:
    """Make sure that a runner has this attempt."""

    attempt: int


@dataclass(frozen=True, slots=True)
class NoteFailure:
    """Write, if absent, that this attempt has failed, because its own process could not."""

    attempt: int
    error: str


@dataclass(frozen=True, slots=True)
class End:
    """End whatever may still run, then write the failure in ``note``, if any."""

    note: NoteFailure | None = None


Step = Start | End | NoteFailure


def next_step(record: RunRecord, status: RunStatus, now: datetime) -> Step | None:
    """Return what a requested run needs next; None means nothing, or to wait. Pure.

    ``status`` was queried after ``record`` was read. If a runner has lost an attempt that had begun, the same attempt
    is started again, which fails it (see ``jobs.running.execute``).
    """
    ask = record.ask
    if ask is None or record.result is not None:
        return None
    runs = status.phase is RunPhase.RUNNING
    if ask.cancelled_by is not None:
        left_open = record.attempt > ask.after and record.failure is None
        noted = NoteFailure(record.attempt, f"{ask.cancelled_by} cancelled it") if left_open and not runs else None
        return End(noted) if runs or left_open else None
    if runs:
        return End() if status.attempt <= ask.after else None  # an attempt before the cancellation
    if status.phase is RunPhase.FAILED and _is_news(status, record, ask.after):
        return NoteFailure(status.attempt, status.error or "the runner gave no reason")
    if record.tries == 0:
        return Start(ask.after + 1)
    if record.failure is None:
        return None if status.phase is RunPhase.DONE else Start(record.attempt)  # its result was written meanwhile
    if record.given_up or now < record.failure.ended_at + pause_after(record.tries):
        return None
    return Start(record.attempt + 1)


def _is_news(status: RunStatus, record: RunRecord, after: int) -> bool:
    """Whether the runner knows a failure that the documents lack, because some attempts fail before they begin."""
    last = record.attempt if record.failure is not None else record.attempt - 1
    return status.attempt > max(last, after)


@dataclass
class RunKeeper:
    """Keeps the requested runs of one task going. It only keeps caches, so that a new one can continue."""

    store: ObjectStore
    keys: TaskKeys
    runner: JobRunner
    clock: Callable[[], datetime]
    troubles: dict[str, str] = field(default_factory=dict)
    """What prevents runs from continuing, by run, for the status."""
    _over: dict[str, str] = field(default_factory=dict)
    """Runs that are over, with the ETag of the request that they answer."""
    _looked: datetime | None = None
    _open: int = 0

    def look(self, nudged: bool = False) -> bool:
        """Look at all requested runs if it is time to, or after a nudge. Returns whether any of them is active.

        Raises what listing them raises.
        """
        now = self.clock()
        pause = EVERY_S if self._open else IDLE_S
        # A negative time means that the clock was set back.
        if nudged or self._looked is None or not 0 <= (now - self._looked).total_seconds() < pause:
            self._looked = now
            self._look()
        return bool(self._open)

    def _look(self) -> None:
        reader = RunReader(self.store, self.keys.workspace, self.keys.task)
        self._open = 0
        for run, etag in reader.asks():
            if self._over.get(run) == etag:
                continue
            try:
                over = self._keep(reader.run(run))
                self.troubles.pop(run, None)
            except TornioError as error:  # only of this run; the others continue
                log.warning("run %s of %s/%s: %s", run, self.keys.workspace, self.keys.task, error)
                self.troubles[run], over = str(error), False
            if over:
                self._over[run] = etag
            self._open += not over

    def _keep(self, record: RunRecord) -> bool:
        """Do what the run needs next. Returns whether it is over."""
        plan = record.plan
        if record.state is RunState.DONE:
            return True
        step = next_step(record, self.runner.status(plan), self.clock())
        match step:
            case Start(attempt):
                self.runner.submit(plan, attempt)
            case End(note):
                self.runner.cancel(plan)
                if note is not None:
                    self._note(record, note)
            case NoteFailure():
                self._note(record, step)
        return step is None and record.state.over

    def _note(self, record: RunRecord, note: NoteFailure) -> None:
        now = self.clock()
        began = record.started.started_at if record.started is not None and note.attempt == record.attempt else now
        failure = RunFailure(
            run=record.plan.run,
            job=record.plan.job,
            attempt=note.attempt,
            error=note.error,
            started_at=began,
            ended_at=now,
        )
        documents.create_or_get(self.store, self.keys.run(record.plan.run).failure(note.attempt), failure)
