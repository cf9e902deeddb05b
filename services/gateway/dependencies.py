"""What routes depend on: the backend, the task of the path, and a caller who may do what the route does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, cast

from fastapi import Depends, Path, Request, Security
from fastapi.security import HTTPBearer

from services.gateway.answering import Answering
from services.gateway.callers import Caller, Role
from services.gateway.port import Backend
from tornio.api import Problem, TaskName
from tornio.spec import NAME_PATTERN

_ROLE = "asks_for_role"
_SCHEME = HTTPBearer(auto_error=False, description="An API key of this server.")

PROBLEMS: dict[int | str, dict[str, object]] = {
    "4XX": {"model": Problem, "description": "What was found, and what to do."},
    "429": {
        "model": Problem,
        "description": "Too many requests or texts of this client. `Retry-After` says when to come back.",
    },
    "500": {"model": Problem, "description": "A stored document or a part of Tornio is broken."},
    "503": {"model": Problem, "description": "A part is away or busy. Try again."},
}
"""For the documentation of every route."""


async def _backend(request: Request) -> Backend:
    return cast(Backend, request.app.state.backend)


async def _answering(request: Request) -> Answering:
    return cast(Answering, request.app.state.answering)


async def _caller(request: Request, _scheme: Annotated[object, Security(_SCHEME)]) -> Caller:
    return cast(Caller, request.state.caller)


TheBackend = Annotated[Backend, Depends(_backend)]
TheAnswering = Annotated[Answering, Depends(_answering)]
_AnyCaller = Annotated[Caller, Depends(_caller)]
WorkspaceName = Annotated[str, Path(pattern=NAME_PATTERN)]


async def _task(workspace: WorkspaceName, task: WorkspaceName) -> TaskName:
    return TaskName(workspace, task)


async def _nowhere() -> None:
    return None


Task = Annotated[TaskName, Depends(_task)]


def caller_with(role: Role, where: Callable[..., object] | None = None) -> Callable[..., Awaitable[Caller]]:
    """Return a dependency: the caller, if it has this role for the task or the workspace that ``where`` depends on.

    Every route of every protocol that is not open to all depends on one. ``where`` is None for a route that belongs to
    no workspace. ``role_of`` tells the role of a dependency.
    """

    async def check(caller: _AnyCaller, where: TaskName | str | None = Depends(where or _nowhere)) -> Caller:
        caller.check(role, where)
        return caller

    check.__dict__[_ROLE] = role
    return check


def role_of(dependency: object) -> Role | None:
    """Return the role that a dependency asks for, None if it is another one."""
    role: Role | None = getattr(dependency, _ROLE, None)
    return role


AnyCaller = Annotated[Caller, Depends(caller_with(Role.PREDICT))]
"""Any caller, for what belongs to no task."""
Reader = Annotated[Caller, Depends(caller_with(Role.PREDICT, _task))]
"""May predict and read the status of the task."""
Annotating = Annotated[Caller, Depends(caller_with(Role.ANNOTATE, _task))]
"""May add texts and labels to the task."""
Operator = Annotated[Caller, Depends(caller_with(Role.OPERATE, _task))]
"""May do everything with the task that can be undone."""
Admin = Annotated[Caller, Depends(caller_with(Role.ADMIN, _task))]
"""May do everything with the task."""
