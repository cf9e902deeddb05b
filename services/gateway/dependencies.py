"""What routes depend on: the backend, the task of the path, and a caller who may do what the route does."""

from __future__ import annotations

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
_Name = Annotated[str, Path(pattern=NAME_PATTERN)]


async def _task(workspace: _Name, task: _Name) -> TaskName:
    return TaskName(workspace, task)


Task = Annotated[TaskName, Depends(_task)]


async def _reader(caller: AnyCaller, task: Task) -> Caller:
    caller.check(Role.PREDICT, task.workspace)
    return caller


async def _operator(caller: AnyCaller, task: Task) -> Caller:
    caller.check(Role.OPERATE, task.workspace)
    return caller


Reader = Annotated[Caller, Depends(_reader)]
"""May predict and read the status in the task's workspace."""
Operator = Annotated[Caller, Depends(_operator)]
"""May do everything in the task's workspace."""
