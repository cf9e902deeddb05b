"""How every job is done, wherever it runs: known result? else work, and write the result last, if absent."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from itertools import count
from typing import Any

from pydantic import ValidationError

from jobs.context import JobContext, RunContext, software
from jobs.table import JOBS, Job
from tornio.api import TaskName
from tornio.errors import IntegrityError, InvalidInput, RunFailed, TemporaryError, TornioError, describe
from tornio.runs.record import ATTEMPTS
from tornio.schemas.base import Part
from tornio.schemas.runs import RunFailure, RunPlan, RunResult, RunStarted
from tornio.storage import documents
from tornio.storage.port import ObjectStore

log = logging.getLogger(__name__)


def plan_job(job: str, task: TaskName, args: str) -> RunPlan:
    """Return the plan of a job with these arguments in JSON. The same arguments give the same plan as in the loop.

    Raises InvalidInput for a job that does not exist, and for arguments that the job does not accept.
    """
    try:
        given = _job(job).args.model_validate_json(args)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'all'}: {e['msg']}" for e in error.errors())
        raise InvalidInput(f"the arguments of {job} are not valid ({faults}). Give a JSON object") from error
    if given.model_extra:
        raise InvalidInput(f"{job} has no argument {', '.join(sorted(given.model_extra))}. Its docstring lists them")
    return RunPlan.of(job, task.workspace, task.task, given)


def next_attempt(plan: RunPlan, store: ObjectStore) -> int:
    """Return the first attempt that no worker has begun."""
    keys = plan.run_keys
    return next(number for number in count(1) if store.head(keys.started(number)) is None)


def resumed_attempt(plan: RunPlan, first: int, context: JobContext) -> int:
    """Return the attempt that this process should make.

    A process may be started again by its runner; the worker's token identifies it. It makes the attempt ``first``, or,
    where it has begun that one already, the next. The attempts in between have failed, and this is recorded. Raises
    RunFailed where there were too many, or where one failed for good.
    """
    keys = plan.run_keys
    if context.store.head(keys.result) is not None:
        return first
    for attempt in range(first, first + ATTEMPTS):
        started = documents.find(context.store, keys.started(attempt), RunStarted)
        if started is None or started[0].worker != context.worker:
            return attempt
        _note_failure(plan, started[0], _ended_in(attempt), context)
        failed = documents.find(context.store, keys.failure(attempt), RunFailure)
        if failed is not None and failed[0].final:
            raise RunFailed(failed[0].error)
    raise RunFailed(f"it was started {ATTEMPTS} times from attempt {first} on, and failed each time: see the job's log")


def execute(plan: RunPlan, attempt: int, context: JobContext) -> RunResult:
    """Do a plan and return its result, or return the result that is stored already.

    An attempt is made once. An attempt that has failed fails again with the same message. An attempt that another
    worker has begun and not ended has failed too, because that worker died; so work that kills its worker is not
    repeated for ever. Of two attempts that end, the first result counts.

    Raises InvalidInput for an unknown job, RunFailed for an attempt that is over, and whatever the job raises.
    """
    job = _job(plan.job)
    keys = plan.run_keys
    done = documents.find(context.store, keys.result, RunResult)
    if done is not None:
        return done[0]
    run = RunContext(context, plan, attempt)
    started = _begin(plan, attempt, context)
    try:
        output = _readable(job.run(job.args.model_validate(plan.args), run), plan)
    except Exception as error:
        _note_failure(plan, started, describe(error), context, final=_is_final(error))
        raise
    result = RunResult(
        run=plan.run,
        job=plan.job,
        attempt=attempt,
        output=output,
        started_at=started.started_at,
        finished_at=datetime.now(UTC),
        software=software(),
    )
    return documents.create_or_get(context.store, keys.result, result)


def _readable(output: Part, plan: RunPlan) -> dict[str, Any]:
    """Return the output as JSON that can be read again. The result is written once, so that comes first.

    Raises InvalidInput for numbers that are not finite, which JSON cannot hold.
    """
    values = output.model_dump(mode="json")
    try:
        type(output).model_validate(values)
    except ValidationError as error:
        faults = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors())
        raise InvalidInput(f"the output of {plan.job} cannot be stored: {faults} must be finite numbers") from error
    return values


def _job(name: str) -> Job:
    if name not in JOBS:
        raise InvalidInput(f"there is no job {name!r}. The jobs are: {', '.join(sorted(JOBS))}")
    return JOBS[name]


def _begin(plan: RunPlan, attempt: int, context: JobContext) -> RunStarted:
    """Record that this worker makes the attempt. Raises RunFailed where the attempt is over."""
    keys = plan.run_keys
    mine = RunStarted(run=plan.run, job=plan.job, attempt=attempt, worker=context.worker, started_at=datetime.now(UTC))
    started = documents.create_or_get(context.store, keys.started(attempt), mine)
    failed = documents.find(context.store, keys.failure(attempt), RunFailure)
    if failed is not None:
        raise RunFailed(failed[0].error)
    if started.worker != context.worker:
        message = _ended_in(attempt)
        _note_failure(plan, started, message, context)
        raise RunFailed(message)
    return started


def _ended_in(attempt: int) -> str:
    return (
        f"its worker ended in the middle of attempt {attempt}; if it was killed for its memory use, give it more memory"
    )


def _is_final(error: Exception) -> bool:
    """Whether another attempt would fail in the same way, because the request itself is wrong."""
    return isinstance(error, TornioError) and not isinstance(error, TemporaryError | IntegrityError | RunFailed)


def _note_failure(plan: RunPlan, started: RunStarted, error: str, context: JobContext, final: bool = False) -> None:
    """Record why an attempt failed. A failure to record it must not hide the error."""
    failure = RunFailure(
        run=plan.run,
        job=plan.job,
        attempt=started.attempt,
        error=error,
        started_at=started.started_at,
        ended_at=datetime.now(UTC),
        final=final,
    )
    try:
        documents.create_or_get(context.store, plan.run_keys.failure(started.attempt), failure)
    except TornioError:
        log.warning("run %s, attempt %d: its failure could not be recorded", plan.run, started.attempt, exc_info=True)
