"""How a job is run, as a port: in a warm actor, as a Ray job, as a RayJob of Kubernetes, or in this process."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from tornio.schemas.runs import RunPlan


class RunPhase(StrEnum):
    """Where an execution stands, as its runner sees it. The run's result.json is the truth."""

    UNKNOWN = "unknown"
    """This runner has not heard of it, or cannot say now: submit it."""
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RunStatus:
    """``error`` says why an attempt failed."""

    phase: RunPhase
    attempt: int = 0
    """The attempt that this speaks of."""
    error: str | None = None


class JobRunner(Protocol):
    """Runs plans. A plan that is running or done is not run twice by the same runner."""

    def submit(self, plan: RunPlan, attempt: int) -> None:
        """Start the plan unless this attempt of it was started here already. Returns at once."""

    def status(self, plan: RunPlan) -> RunStatus:
        """What this runner knows of the run, within seconds; UNKNOWN where it cannot be asked."""

    def cancel(self, plan: RunPlan) -> None:
        """End the attempt that runs, which has then failed; nothing where none runs. Raises Unavailable."""
