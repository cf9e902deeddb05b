"""From the request of a user to the plan of a run on the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from jobs.context import JobContext
from jobs.table import JOBS
from tornio.api import UPLOAD, RunRequest, TaskName
from tornio.errors import InvalidInput
from tornio.schemas.runs import RunPlan
from tornio.settings import StorageSettings
from tornio.uploads import find_upload


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
    return entry.plan(_with_object(request, workspace, context), name, context)


def _with_object(request: RunRequest, workspace: str, context: JobContext) -> RunRequest:
    """Return the request. If its data is an upload of the workspace, it names the object in the bucket instead."""
    data = getattr(request, "data", None)
    if not isinstance(data, str) or not data.startswith(UPLOAD):
        return request
    key = find_upload(data, workspace, context.store, datetime.now(UTC))
    settings = StorageSettings()
    return request.model_copy(update={"data": f"s3://{settings.bucket}/{settings.root}{key}"})
