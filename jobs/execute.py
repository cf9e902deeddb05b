"""How every job is done, wherever it runs: known result? else work, and write the result last, if absent."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jobs import evaluate, label, query, train
from jobs.context import JobContext, RunContext, software
from jobs.failures import describe
from tornio.errors import InvalidInput
from tornio.schemas.base import Part
from tornio.schemas.runs import RunFailure, RunPlan, RunResult
from tornio.storage import documents
from tornio.storage.keys import RunKeys, TaskKeys, workspace_run

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """A job: the model of its arguments and ``run(args, context) -> output``."""

    args: type[Part]
    run: Callable[[Any, RunContext], Part]


JOBS: dict[str, Job] = {
    "train": Job(train.TrainArgs, train.run),
    "evaluate": Job(evaluate.EvaluateArgs, evaluate.run),
    "query": Job(query.QueryArgs, query.run),
    "label": Job(label.LabelArgs, label.run),
}


def run_keys(plan: RunPlan) -> RunKeys:
    """Where a plan's run lives in the store."""
    if plan.task is None:
        return workspace_run(plan.workspace, plan.run)
    return TaskKeys(plan.workspace, plan.task).run(plan.run)


def execute(plan: RunPlan, attempt: int, context: JobContext) -> RunResult:
    """Do a plan, or take the result that stands there. Of two attempts the loser takes the winner's.

    Raises InvalidInput for a job that nobody knows, and whatever the job raises.
    """
    job = JOBS.get(plan.job)
    if job is None or plan.task is None:
        raise InvalidInput(f"no job is called {plan.job!r}; there are: {', '.join(sorted(JOBS))}")
    keys = run_keys(plan)
    done = documents.find(context.store, keys.result, RunResult)
    if done is not None:
        return done[0]
    run = RunContext(context, context.tasks.open(plan.workspace, plan.task), plan.run, keys.attempt(attempt))
    started = datetime.now(UTC)
    try:
        output = job.run(job.args.model_validate(plan.args), run)
    except Exception as error:
        failure = RunFailure(
            run=plan.run,
            job=plan.job,
            attempt=attempt,
            error=describe(error),
            started_at=started,
            ended_at=datetime.now(UTC),
        )
        documents.create_or_get(context.store, f"{keys.attempt(attempt)}failure.json", failure)
        raise
    result = RunResult(
        run=plan.run,
        job=plan.job,
        attempt=attempt,
        output=output.model_dump(mode="json"),
        started_at=started,
        finished_at=datetime.now(UTC),
        software=software(),
    )
    return documents.create_or_get(context.store, keys.result, result)
