"""The interface of a runner: a warm actor, a Ray job, a RayJob on Kubernetes, or this process."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from tornio.schemas.runs import RunPlan


class RunPhase(StrEnum):
    """The state of an execution according to its runner. The run's result.json decides."""

    UNKNOWN = "unknown"
    """This runner does not know the run, or cannot tell at present: submit it."""
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RunStatus:
    """The state of a run. ``error`` is the reason why an attempt failed."""

    phase: RunPhase
    attempt: int = 0
    """The attempt that this status describes."""
    error: str | None = None


class JobRunner(Protocol):
    """Runs plans. A runner does not run a plan again while it is running or after it is done."""

    def submit(self, plan: RunPlan, attempt: int) -> None:
        """Start the plan, unless this attempt of it was started here already. Returns at once."""

    def status(self, plan: RunPlan) -> RunStatus:
        """Return what this runner knows of the run, within seconds; UNKNOWN if it cannot be queried."""

    def cancel(self, plan: RunPlan) -> None:
        """End the running attempt, which then has failed. Does nothing if none runs. Raises Unavailable."""
