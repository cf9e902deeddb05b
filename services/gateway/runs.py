"""Runs: what users ask of the jobs, and the state of each run, also of those of the loop."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Union

from fastapi import APIRouter, Path, Query
from pydantic import Discriminator, Tag

from jobs.table import JOBS
from services.gateway.callers import Role
from services.gateway.dependencies import PROBLEMS, Operator, Reader, Task, TheBackend
from tornio.api import MAX_RUNS, RUN_PATTERN, RunOut, RunRequest, Runs

router = APIRouter(prefix="/v1/tasks/{workspace}/{task}/runs", tags=["runs"], responses=PROBLEMS)

_Run = Annotated[str, Path(pattern=f"^{RUN_PATTERN}$")]
_REQUESTS = {name: job.request for name, job in JOBS.items() if job.request is not None}


def _job(body: object) -> str | None:
    """The job that a request names; one that names none is a score request, as in release 0.1."""
    job = body.get("job", "score") if isinstance(body, dict) else getattr(body, "job", None)
    return job if isinstance(job, str) else None


if TYPE_CHECKING:
    _Request = RunRequest
else:
    _Request = Annotated[
        Union[tuple(Annotated[request, Tag(name)] for name, request in _REQUESTS.items())],  # noqa: UP007
        Discriminator(
            _job,
            custom_error_type="unknown_job",
            custom_error_message=f"no run of this job can be asked for; 'job' is one of {', '.join(_REQUESTS)}",
        ),
    ]


@router.post("", status_code=HTTPStatus.ACCEPTED)
async def start(body: _Request, task: Task, backend: TheBackend, caller: Operator) -> RunOut:
    """Ask for a run of a job, such as the scoring of a data set in S3.

    The same request over the same bytes is the same run. A run that cannot be undone needs a key with the role admin.
    """
    if JOBS[body.job].irreversible:
        caller.check(Role.ADMIN, task)
    body.check_on_cluster(task)
    return await backend.runs.start(task, body, caller.name)


@router.get("")
async def list_runs(
    task: Task, backend: TheBackend, _: Reader, most: Annotated[int, Query(ge=1, le=MAX_RUNS)] = 20
) -> Runs:
    """List the runs of the loop and those that users asked for, newest first."""
    return Runs(runs=list(await backend.runs.newest(task, most)))


@router.get("/{run}")
async def show(run: _Run, task: Task, backend: TheBackend, _: Reader) -> RunOut:
    """Show how far a run is, why it failed, or its result."""
    return await backend.runs.get(task, run)


@router.post("/{run}/cancel")
async def cancel(run: _Run, task: Task, backend: TheBackend, caller: Operator) -> RunOut:
    """End a run that a user asked for, and start no further attempt."""
    return await backend.runs.cancel(task, run, caller.name)
