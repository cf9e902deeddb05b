"""Everything that the page of a task shows, read at one time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.gateway.callers import Caller, Role
from services.gateway.port import Backend
from tornio.api import TaskName, TaskStatus, VersionOut


@dataclass(frozen=True, slots=True)
class TaskPage:
    """``versions``: newest first; None for a caller who may not see them."""

    task: TaskName
    status: TaskStatus
    versions: Sequence[VersionOut] | None


async def gather(backend: Backend, caller: Caller, task: TaskName) -> TaskPage:
    """Return what the caller may see of the task. Raises NotFound, Unavailable."""
    status = await backend.status(task)
    versions = await backend.versions(task) if caller.role.includes(Role.OPERATE) else None
    return TaskPage(task, status, versions)
