"""The audit log of a workspace: who did what, and what came of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from services.gateway.callers import Caller, Role
from services.gateway.dependencies import PROBLEMS, TheBackend, WorkspaceName, caller_with
from tornio.api import AUDIT_ID, MAX_AUDIT, AuditPage, TaskName
from tornio.spec import NAME_PATTERN

router = APIRouter(prefix="/v1/workspaces", tags=["audit"], responses=PROBLEMS)


_Task = Annotated[str | None, Query(pattern=NAME_PATTERN, description="Only the acts on this task.")]


async def _place(workspace: WorkspaceName, task: _Task = None) -> TaskName | str:
    return workspace if task is None else TaskName(workspace, task)


@router.get("/{workspace}/audit")
async def audit(
    workspace: WorkspaceName,
    backend: TheBackend,
    _: Annotated[Caller, Depends(caller_with(Role.OPERATE, _place))],
    task: _Task = None,
    after: Annotated[str | None, Query(pattern=AUDIT_ID, description="`next` of the answer before.")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_AUDIT)] = 50,
) -> AuditPage:
    """List who did what in the workspace, newest first. An answer with few events or none may still have a `next`.

    A key that has access to some tasks alone must name one of them."""
    return await backend.audit.newest(workspace, limit, task, after)
