"""Runs: large work that a user asks for, and how each run stands, the loop's too."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query

from services.gateway.dependencies import PROBLEMS, Operator, Reader, Task, TheBackend
from tornio.api import MAX_RUNS, RUN_PATTERN, RunOut, Runs, ScoreIn

router = APIRouter(prefix="/v1/tasks/{workspace}/{task}/runs", tags=["runs"], responses=PROBLEMS)

_Run = Annotated[str, Path(pattern=f"^{RUN_PATTERN}$")]


@router.post("", status_code=HTTPStatus.ACCEPTED)
async def start(body: ScoreIn, task: Task, backend: TheBackend, caller: Operator) -> RunOut:
    """Score a labelled data set in S3 by its loss. The same request over the same bytes is the same run."""
    return await backend.runs.start(task, "score", body, caller.name)


@router.get("")
async def list_runs(
    task: Task, backend: TheBackend, _: Reader, most: Annotated[int, Query(ge=1, le=MAX_RUNS)] = 20
) -> Runs:
    """The loop's runs and those that were asked for, newest first."""
    return Runs(runs=list(await backend.runs.newest(task, most)))


@router.get("/{run}")
async def show(run: _Run, task: Task, backend: TheBackend, _: Reader) -> RunOut:
    """How far a run is, why it failed, what it came to."""
    return await backend.runs.get(task, run)


@router.post("/{run}/cancel")
async def cancel(run: _Run, task: Task, backend: TheBackend, caller: Operator) -> RunOut:
    """End a run that was asked for, and try it no more."""
    return await backend.runs.cancel(task, run, caller.name)
