"""The audit log of a workspace: who did what, and what came of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from services.gateway.auth import Role
from services.gateway.dependencies import PROBLEMS, AnyCaller, TheBackend
from tornio.api import AUDIT_ID, MAX_AUDIT, AuditPage
from tornio.spec import NAME_PATTERN

router = APIRouter(prefix="/v1/workspaces", tags=["audit"], responses=PROBLEMS)


@router.get("/{workspace}/audit")
async def audit(
    workspace: Annotated[str, Path(pattern=NAME_PATTERN)],
    backend: TheBackend,
    caller: AnyCaller,
    task: Annotated[str | None, Query(pattern=NAME_PATTERN, description="Only the acts on this task.")] = None,
    after: Annotated[str | None, Query(pattern=AUDIT_ID, description="`next` of the answer before.")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_AUDIT)] = 50,
) -> AuditPage:
    """List who did what in the workspace, newest first. An answer with few events or none may still have a `next`."""
    caller.check(Role.OPERATE, workspace)
    return await backend.audit.newest(workspace, limit, task, after)
