"""The attempts at a run that the loop waits for. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TypeVar

from tornio.loop.observation import Observation, RunOutcome
from tornio.schemas.loop import Attempts
from tornio.schemas.runs import RunPlan

ATTEMPTS = 3
"""Attempts at a training or a judgement before it is given up. A query is tried for ever, at growing intervals."""

Intent = TypeVar("Intent", bound=Attempts)


def outcome_of(seen: Observation, plan: RunPlan, attempt: int) -> RunOutcome:
    """Return the run's outcome if it is of this attempt or a later one: a runner may make further attempts itself."""
    outcome = seen.runs.get(plan.run, RunOutcome())
    stale = outcome.error is not None and outcome.attempt < attempt
    return RunOutcome() if stale else outcome


def again(intent: Intent, seen: Observation, error: str, before: int = 0) -> Intent:
    """Return the intent with its next attempt after a pause, or given up with the reason.

    ``before``: attempts at the same run that were made for an earlier intent.
    """
    if intent.attempt >= before + ATTEMPTS:
        return intent.evolve(failure=error)
    not_before = seen.now + pause(intent.attempt)
    return intent.evolve(attempt=intent.attempt + 1, not_before=not_before, since=not_before)


def pause(failures: int) -> timedelta:
    """The pause after so many failures: it doubles up to a minute."""
    return timedelta(seconds=min(2.0 ** min(failures, 6), 60.0))
