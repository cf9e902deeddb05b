"""What the documents of a run say together. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from tornio.schemas.runs import RunAsk, RunFailure, RunPlan, RunProgress, RunResult, RunStarted

ATTEMPTS = 3
"""Attempts at a run that a user asked for before it is given up; asked for again, it gets as many more."""


class RunState(StrEnum):
    WAITING = "waiting"
    """For its first attempt to begin, or, after one that failed, for the next."""
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        return self in (RunState.DONE, RunState.FAILED, RunState.CANCELLED)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run's documents. ``attempt``: the last that has begun or failed, 0 for none; started, failure and progress
    are of that attempt. ``ask``: none for a run of the loop, or of a user's own process."""

    plan: RunPlan
    ask: RunAsk | None = None
    attempt: int = 0
    started: RunStarted | None = None
    failure: RunFailure | None = None
    progress: RunProgress | None = None
    result: RunResult | None = None

    @property
    def tries(self) -> int:
        """Attempts that count: those since it was asked for."""
        return max(0, self.attempt - (self.ask.after if self.ask else 0))

    @property
    def given_up(self) -> bool:
        """Whether the attempt that failed was the last."""
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
        """Whether such a run is tried again is up to whoever began it: an attempt that failed is all that is known."""
        if self.attempt == 0:
            return RunState.WAITING
        return RunState.RUNNING if self.failure is None else RunState.FAILED

    @property
    def began(self) -> datetime | None:
        """When the attempt began that counts."""
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
        """Why the last attempt failed, also while the next is waited for."""
        if self.failure is None or not self.tries or self.state in (RunState.DONE, RunState.CANCELLED):
            return None
        return self.failure.error


def pause_after(tries: int) -> timedelta:
    """How long to wait after so many attempts that failed: doubles from 2 seconds up to a minute."""
    return timedelta(seconds=min(2.0 ** min(tries, 6), 60.0))
