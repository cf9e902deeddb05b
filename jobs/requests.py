"""From the request of a user to the plan of a run on the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from jobs.context import JobContext
from jobs.table import JOBS
from tornio.api import TaskName
from tornio.errors import Forbidden, InvalidInput
from tornio.schemas.runs import RunPlan


def plan_request(job: str, workspace: str, task: str, asked: Mapping[str, Any], context: JobContext) -> RunPlan:
    """Return the plan of the run that answers this request, ``asked`` being its fields.

    Raises InvalidInput for a job that users cannot ask for and for a request that it does not accept, and what planning
    raises: InvalidFile, NotFound, Forbidden, ...
    """
    entry = JOBS.get(job)
    if entry is None or entry.request is None or entry.plan is None:
        offered = ", ".join(sorted(name for name, one in JOBS.items() if one.request is not None))
        raise InvalidInput(f"no run of {job!r} can be asked for. Ask for one of these jobs: {offered}")
    try:
        request = entry.request.model_validate(asked)
    except ValidationError as error:
        raise InvalidInput(f"the request for {job} is not valid: {error}") from error
    name = TaskName(workspace, task)
    request.check_on_cluster(name)
    return entry.plan(request, name, context)


def check_readable(data: str, workspace: str, bucket: str, root: str) -> None:
    """Raises Forbidden for an s3:// address in Tornio's own bucket that is outside the folder of the workspace.

    A run on the cluster reads with the keys of the cluster. All workspaces share the bucket, so a user may only read
    the folder of the own workspace.
    """
    asked, _, key = data.removeprefix("s3://").partition("/")
    allowed = f"{root}{workspace}/"
    if asked == bucket and not key.startswith(allowed):
        raise Forbidden(
            f"{data} is in the bucket of Tornio itself, where {workspace!r} may only read what is below "
            f"s3://{bucket}/{allowed}. Either put the data there, or into another bucket"
        )


def check_model(model: str, workspace: str, bucket: str, root: str) -> None:
    """Raises Forbidden for a folder on the disk of the server, and for what ``check_readable`` refuses."""
    if model.startswith("s3://"):
        check_readable(model, workspace, bucket, root)
    elif model.startswith(("/", ".", "~")) or ("/" in model and Path(model).exists()):
        raise Forbidden(
            f"{model} is a folder on the disk of the server, which a run on the cluster must not read. Name a version "
            "of the task, a model in S3, or a model of the hub"
        )
