"""The state of a run, from its documents. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from tornio.api import RunOut, RunProgressOut
from tornio.schemas.runs import RunAsk, RunFailure, RunPlan, RunProgress, RunResult, RunStarted

ATTEMPTS = 3
"""Attempts at a run that a user asked for, before it has failed. Asked for again, the run gets as many more."""


class RunState(StrEnum):
    WAITING = "waiting"
    """The run waits for its first attempt to begin, or for the next one after an attempt has failed."""
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        return self in (RunState.DONE, RunState.FAILED, RunState.CANCELLED)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The documents of a run.

    ``attempt``: number of the last attempt that has begun or failed, 0 if none has. ``started``, ``failure`` and
    ``progress`` belong to that attempt. ``ask``: None for a run of the loop, or of a process of a user.
    """

    plan: RunPlan
    ask: RunAsk | None = None
    attempt: int = 0
    started: RunStarted | None = None
    failure: RunFailure | None = None
    progress: RunProgress | None = None
    result: RunResult | None = None

    @property
    def tries(self) -> int:
        """Attempts since the run was asked for."""
        return max(0, self.attempt - (self.ask.after if self.ask else 0))

    @property
    def given_up(self) -> bool:
        """Whether no attempt follows the one that failed."""
        return self.failure is not None and (self.failure.final or self.tries >= ATTEMPTS)

    @property
    def state(self) -> RunState:
        if self.result is not None:
            return RunState.DONE
        if self.ask is not None and self.ask.cancelled_by is not None:
            return RunState.CANCELLED
        if self.ask is None:
            return self._unasked()
        if self.tries == 0:
            return RunState.WAITING
        if self.failure is None:
            return RunState.RUNNING
        return RunState.FAILED if self.given_up else RunState.WAITING

    def _unasked(self) -> RunState:
        """The state of a run of the loop, or of a user's process, which decide themselves whether to try it again."""
        if self.attempt == 0:
            return RunState.WAITING
        return RunState.RUNNING if self.failure is None else RunState.FAILED

    @property
    def began(self) -> datetime | None:
        """When the last attempt began, or the one that succeeded."""
        if self.result is not None:
            return self.result.started_at
        return self.started.started_at if self.started is not None and self.tries else None

    @property
    def ended(self) -> datetime | None:
        if self.result is not None:
            return self.result.finished_at
        if self.state is RunState.CANCELLED and self.ask is not None:
            return self.ask.cancelled_at
        return self.failure.ended_at if self.failure is not None and self.state is RunState.FAILED else None

    @property
    def error(self) -> str | None:
        """Why the last attempt failed, also while the run waits for the next one."""
        if self.failure is None or not self.tries or self.state in (RunState.DONE, RunState.CANCELLED):
            return None
        return self.failure.error


def pause_after(tries: int) -> timedelta:
    """Return how long to wait after this many failed attempts: 2 seconds, doubled each time, at most a minute."""
    return timedelta(seconds=min(2.0 ** min(tries, 6), 60.0))


def run_out(record: RunRecord, trouble: str | None = None) -> RunOut:
    """Return a run as the API shows it. ``trouble``: what keeps the run from going on, if anything does."""
    ask, progress = record.ask, record.progress
    shown = progress is not None and record.state is RunState.RUNNING
    return RunOut(
        run=record.plan.run,
        job=record.plan.job,
        state=record.state.value,
        attempt=record.attempt,
        asked_by=ask.who if ask else None,
        asked_at=ask.asked_at if ask else None,
        progress=RunProgressOut.model_validate(progress.model_dump()) if progress and shown else None,
        started_at=record.began,
        finished_at=record.ended,
        error=record.error,
        why=None if record.state.over else trouble,
        output=record.result.output if record.result else None,
    )
