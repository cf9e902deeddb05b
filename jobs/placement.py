"""Where a run is done: a small one in the warm worker, a large one as a job of its own, of Ray or of KubeRay."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from jobs.port import JobRunner, RunPhase, RunStatus
from tornio.schemas.jobs import EvaluateArgs, QueryArgs
from tornio.schemas.runs import RunPlan
from tornio.spec import TaskSpec

log = logging.getLogger(__name__)
Limit = int | Literal["always", "never"]
"""Texts above which a run is large: see ``JobSettings.large_texts``."""
TRAINING_COST = 3
"""Passes through the model that a training step costs for each of its texts: forward, and about two for backward."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the size of a task's run depends on: records of its pool, those of them without an embedding, records that
    have a label (0 where no fine-tuning is about), and how many of the plan's versions are fine-tuned."""

    spec: TaskSpec
    pool: int
    not_embedded: int
    labels: int
    fine_tuned: int


def size(plan: RunPlan, facts: Facts | None) -> float:
    """Texts that the run passes through a model once, roughly; infinite for scoring, which is always large.

    ``facts``: none for a run without a task, or whose task cannot be read, which is small: it will say so itself.
    """
    if plan.job == "score":
        return math.inf
    if facts is None:
        return 0
    match plan.job:
        case "train":
            return _training(facts)
        case "query":
            return _query(QueryArgs.model_validate(plan.args), facts)
        case "evaluate":
            return _evaluation(EvaluateArgs.model_validate(plan.args), facts)
        case "label":
            return facts.pool
    return 0


def _training(facts: Facts) -> int:
    classifier = facts.spec.classifier
    auto = classifier.kind == "auto" and facts.labels >= classifier.fine_tuned_from
    if classifier.kind == "fine-tuned" or auto:
        return facts.labels * classifier.fine_tuning.epochs * TRAINING_COST
    return facts.not_embedded


def _query(args: QueryArgs, facts: Facts) -> int:
    if args.version is None and facts.spec.loop.cold_start != "diverse":
        return 0
    return facts.pool if facts.fine_tuned else facts.not_embedded


def _evaluation(args: EvaluateArgs, facts: Facts) -> int:
    """Each fine-tuned version answers what is labelled of the hold-out; two of them answer the stop set."""
    judged = min(facts.labels, math.ceil(facts.spec.loop.holdout_share * facts.pool))
    stop = 2 * min(facts.spec.loop.stop.stop_set_size, facts.pool) if args.agree_with and facts.fine_tuned else 0
    return facts.not_embedded + facts.fine_tuned * judged + stop


def is_large(texts: float, limit: Limit) -> bool:
    if isinstance(limit, str):
        return limit == "always"
    return texts > limit


class PlacedRunner:
    """The ``JobRunner`` of a cluster: each run goes where its size says, and is asked for there.

    A run that an earlier controller began is looked for in both places. ``measure`` gives ``size`` its facts.
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
        """The large place first: what runs there is worth more, and is what survives a controller's end."""
        if plan.run in self._placed:
            return (self._placed[plan.run],)
        return (self._small,) if self._limit == "never" else (self._large, self._small)

    def _place(self, plan: RunPlan) -> JobRunner:
        if self._limit == "never":
            return self._small
        texts = size(plan, None if plan.job == "score" else self._measure(plan))
        large = is_large(texts, self._limit)
        log.info(
            "run %s passes %s texts: %s", plan.run, f"{texts:,.0f}", "a job of its own" if large else "the warm worker"
        )
        return self._large if large else self._small
