"""What routes depend on: the backend, the task of the path, and a caller who may do what the route does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, cast

from fastapi import Depends, Path, Request, Security
from fastapi.security import HTTPBearer

from services.gateway.auth import Caller, Role
from services.gateway.port import Backend
from tornio.api import Problem, TaskName
from tornio.spec import NAME_PATTERN

_SCHEME = HTTPBearer(auto_error=False, description="An API key of this server.")

PROBLEMS: dict[int | str, dict[str, object]] = {
    "4XX": {"model": Problem, "description": "What was found, and what to do."},
    "429": {"model": Problem, "description": "This client has too many requests under way. Try again."},
    "500": {"model": Problem, "description": "A stored document or a part of Tornio is broken."},
    "503": {"model": Problem, "description": "A part is away or busy. Try again."},
}
"""For the documentation of every route."""


async def _backend(request: Request) -> Backend:
    return cast(Backend, request.app.state.backend)


async def _caller(request: Request, _scheme: Annotated[object, Security(_SCHEME)]) -> Caller:
    return cast(Caller, request.state.caller)


TheBackend = Annotated[Backend, Depends(_backend)]
AnyCaller = Annotated[Caller, Depends(_caller)]
WorkspaceName = Annotated[str, Path(pattern=NAME_PATTERN)]


async def _task(workspace: WorkspaceName, task: WorkspaceName) -> TaskName:
    return TaskName(workspace, task)


Task = Annotated[TaskName, Depends(_task)]


def caller_with(role: Role, task: Callable[..., object]) -> Callable[..., Awaitable[Caller]]:
    """Return a dependency: the caller, if it has this role in the workspace of the task that ``task`` depends on."""

    async def check(caller: AnyCaller, named: TaskName = Depends(task)) -> Caller:
        caller.check(role, named.workspace)
        return caller

    return check


Reader = Annotated[Caller, Depends(caller_with(Role.PREDICT, _task))]
"""May predict and read the status in the task's workspace."""
Operator = Annotated[Caller, Depends(caller_with(Role.OPERATE, _task))]
"""May do everything in the task's workspace."""
