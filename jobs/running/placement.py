"""Where a run is done: a small one in the warm worker, a large one as a job of its own, of Ray or of KubeRay."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Literal

from jobs.running.port import JobRunner, RunPhase, RunStatus
from jobs.sizing import Facts
from jobs.table import JOBS
from tornio.schemas.runs import RunPlan

log = logging.getLogger(__name__)
Limit = int | Literal["always", "never"]
"""Number of texts above which a run is large: see ``JobSettings.large_texts``."""


def size(plan: RunPlan, facts: Facts | None) -> float:
    """Return about how many texts the run passes through a model once; infinite for a run that is always large.

    ``facts``: None for a run without a task or whose task cannot be read. Such a run is small: it will report why.
    """
    job = JOBS.get(plan.job)
    if job is None:
        return 0
    if job.spreads:
        return math.inf
    return 0 if facts is None else job.size(job.args.model_validate(plan.args), facts)


def is_spread(plan: RunPlan) -> bool:
    """Return whether the plan's job gives its work to workers, so that its own process only reads and waits."""
    job = JOBS.get(plan.job)
    return job is not None and job.spreads


def annotates(plan: RunPlan) -> bool:
    """Return whether the plan's job uses the annotation tool, whose key only the warm worker has."""
    job = JOBS.get(plan.job)
    return job is not None and job.annotates


def is_large(texts: float, limit: Limit) -> bool:
    if isinstance(limit, str):
        return limit == "always"
    return texts > limit


class PlacedRunner:
    """The ``JobRunner`` of a cluster. The size of a run decides where it is done, and its status is queried there.

    A run that an earlier controller started is looked for in both places. ``measure`` gives ``size`` its facts.
    """

    def __init__(
        self, small: JobRunner, large: JobRunner, measure: Callable[[RunPlan], Facts | None], limit: Limit
    ) -> None:
        self._small = small
        self._large = large
        self._measure = measure
        self._limit = limit
        self._placed: dict[str, JobRunner] = {}

    def submit(self, plan: RunPlan, attempt: int) -> None:
        runner = self._placed.get(plan.run) or self._place(plan)
        runner.submit(plan, attempt)
        self._placed[plan.run] = runner

    def status(self, plan: RunPlan) -> RunStatus:
        for runner in self._where(plan):
            status = runner.status(plan)
            if status.phase is not RunPhase.UNKNOWN:
                self._placed[plan.run] = runner
                return status
        return RunStatus(RunPhase.UNKNOWN)

    def cancel(self, plan: RunPlan) -> None:
        for runner in self._where(plan):
            runner.cancel(plan)

    def _where(self, plan: RunPlan) -> tuple[JobRunner, ...]:
        """Return the runners to query, the large one first: its runs cost more, and survive the controller."""
        if plan.run in self._placed:
            return (self._placed[plan.run],)
        return (self._small,) if self._limit == "never" else (self._large, self._small)

    def _place(self, plan: RunPlan) -> JobRunner:
        if self._limit == "never" or annotates(plan):
            return self._small
        texts = size(plan, None if is_spread(plan) else self._measure(plan))
        large = is_large(texts, self._limit)
        log.info(
            "run %s passes %s texts: %s", plan.run, f"{texts:,.0f}", "a job of its own" if large else "the warm worker"
        )
        return self._large if large else self._small
