"""From what a user asks of the cluster to the plan of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jobs.context import JobContext
from tornio.api import ScoreIn, TaskName
from tornio.errors import Forbidden, InvalidInput
from tornio.schemas.runs import RunPlan
from tornio.scoring.planning import ScoreRequest, plan_score
from tornio.settings import StorageSettings


def plan_request(job: str, workspace: str, task: str, asked: Mapping[str, Any], context: JobContext) -> RunPlan:
    """The run that answers this request. Raises InvalidInput for a job that cannot be asked for, and what planning
    raises: InvalidFile, NotFound, Forbidden, ..."""
    if job not in _PLANNERS:
        raise InvalidInput(f"no run of {job!r} can be asked for; there are: {', '.join(sorted(_PLANNERS))}")
    return _PLANNERS[job](TaskName(workspace, task), asked, context)


def _plan_score(task: TaskName, asked: Mapping[str, Any], context: JobContext) -> RunPlan:
    request = ScoreIn.model_validate(asked)
    settings = StorageSettings()
    check_readable(request.data, task.workspace, settings.bucket, settings.root)
    check_model(request.model or "", task.workspace, settings.bucket, settings.root)
    return plan_score(
        ScoreRequest(workspace=task.workspace, task=task, **request.model_dump(exclude_none=True)),
        context.store,
        context.loader,
    )


_PLANNERS: dict[str, Callable[[TaskName, Mapping[str, Any], JobContext], RunPlan]] = {"score": _plan_score}


def check_readable(data: str, workspace: str, bucket: str, root: str) -> None:
    """Raises Forbidden where an s3:// address of Tornio's own bucket is not in the workspace's folder.

    What runs on the cluster reads with its keys: in the bucket where all workspaces live, a user gets one's own alone.
    """
    asked, _, key = data.removeprefix("s3://").partition("/")
    allowed = f"{root}{workspace}/"
    if asked == bucket and not key.startswith(allowed):
        raise Forbidden(
            f"{data} is in the bucket of Tornio itself, where {workspace!r} may read what is below "
            f"s3://{bucket}/{allowed} alone: put the data there, or into another bucket"
        )


def check_model(model: str, workspace: str, bucket: str, root: str) -> None:
    """Raises Forbidden for a folder of the server's disk, and as ``check_readable`` does."""
    if model.startswith("s3://"):
        check_readable(model, workspace, bucket, root)
    elif model.startswith(("/", ".", "~")) or ("/" in model and Path(model).exists()):
        raise Forbidden(
            f"{model} is a folder of the server: a run on the cluster takes a version of the task, a model in S3, or "
            "one of the hub"
        )
