"""Runs: what users ask of the jobs, and the state of each run, also of those of the loop."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Union

from fastapi import APIRouter, Path, Query, Response
from pydantic import Discriminator, Tag

from jobs.table import JOBS
from services.gateway.callers import Role
from services.gateway.dependencies import PROBLEMS, Operator, Reader, Task, TheBackend
from tornio.api import MAX_RUNS, MAX_TOP, RUN_FILE_PATTERN, RUN_PATTERN, RunFiles, RunOut, RunRequest, RunRows, Runs

router = APIRouter(prefix="/v1/tasks/{workspace}/{task}/runs", tags=["runs"], responses=PROBLEMS)

_Run = Annotated[str, Path(pattern=f"^{RUN_PATTERN}$")]
_OCTETS = "application/octet-stream"
_BYTES: dict[int | str, dict[str, Any]] = {
    "200": {"content": {_OCTETS: {"schema": {"type": "string", "format": "binary"}}}}
}
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
    task: Task,
    backend: TheBackend,
    _: Reader,
    most: Annotated[int, Query(ge=1, le=MAX_RUNS)] = 20,
    job: Annotated[str | None, Query(max_length=100, description="Only the runs of this job.")] = None,
) -> Runs:
    """List the runs of the loop and those that users asked for, newest first."""
    return Runs(runs=list(await backend.runs.newest(task, most, job)))


@router.get("/{run}")
async def show(run: _Run, task: Task, backend: TheBackend, _: Reader) -> RunOut:
    """Show how far a run is, why it failed, or its result."""
    return await backend.runs.get(task, run)


@router.get("/{run}/rows")
async def rows(
    run: _Run,
    task: Task,
    backend: TheBackend,
    _: Operator,
    most: Annotated[int, Query(ge=1, le=MAX_TOP)] = MAX_TOP,
) -> RunRows:
    """Show the first rows of the result of a run that is done, such as the most suspicious ones."""
    return await backend.runs.rows(task, run, most)


@router.get("/{run}/files")
async def files(run: _Run, task: Task, backend: TheBackend, caller: Operator) -> RunFiles:
    """List the files of the result of a run that is done."""
    return await backend.runs.files(task, run, caller.name)


@router.get("/{run}/files/{name}", response_class=Response, responses=_BYTES)
async def file(
    run: _Run,
    name: Annotated[str, Path(pattern=f"^{RUN_FILE_PATTERN}$")],
    task: Task,
    backend: TheBackend,
    _: Operator,
    etag: Annotated[str, Query(max_length=200, description="The `etag` of the list.")],
    start: Annotated[int, Query(ge=0, lt=2**53, description="Number of bytes that are left out.")] = 0,
) -> Response:
    """Return a file of the result as it was listed, at most 8 MiB of it. Ask again for what follows."""
    body = await backend.runs.file(task, run, name, etag, start)
    return Response(body, media_type=_OCTETS, headers={"X-Content-Type-Options": "nosniff"})


@router.post("/{run}/cancel")
async def cancel(run: _Run, task: Task, backend: TheBackend, caller: Operator) -> RunOut:
    """End a run that a user asked for, and start no further attempt."""
    return await backend.runs.cancel(task, run, caller.name)
