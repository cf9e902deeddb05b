"""What people see: the list of tasks, and the page of a task."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import groupby
from typing import Annotated, cast

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from services.gateway.dependencies import AnyCaller, Reader, Task, TheBackend
from services.gateway.page import acts, assets, login
from services.gateway.page.gather import Choice, gather
from services.gateway.page.live import Live, Watched, mark_of
from services.gateway.page.rendering import HEADERS, page
from services.gateway.page.sections import sections
from services.gateway.paths import of_page
from tornio.api import TaskSummary
from tornio.loop.phase import Phase

router = APIRouter(include_in_schema=False)
_UNBUFFERED = {"X-Accel-Buffering": "no"}
"""Asks nginx to pass each event on at once."""
_Version = Annotated[str | None, Query(max_length=200)]


@router.get("/")
@of_page
async def tasks(request: Request, backend: TheBackend, caller: AnyCaller) -> Response:
    """Show the tasks that the caller has access to, by workspace."""
    found = await backend.tasks(caller.sees)
    return page(request.scope, "tasks.html.j2", workspaces=_by_workspace(found))


@router.get("/tasks/{workspace}/{task}")
@of_page
async def one_task(
    request: Request, task: Task, backend: TheBackend, caller: Reader, before: _Version = None, after: _Version = None
) -> Response:
    """Show how a task stands, and why. ``before``, ``after``: two versions to compare."""
    found = await gather(backend, caller, task, Choice(before, after))
    watched = Watched(f"/tasks/{task}/events", mark_of(found.status) if found.status else "")

    def written() -> Response:  # in a thread: some tasks have long pages, and predictions wait for the event loop
        shown = list(sections(found))
        return page(request.scope, "task.html.j2", page=found, sections=shown, report=False, watched=watched)

    return await asyncio.to_thread(written)


@router.get("/tasks/{workspace}/{task}/events")
@of_page
async def events(request: Request, task: Task, caller: Reader) -> StreamingResponse:
    """Tell the page of the task when there is something new to see."""
    stream = cast(Live, request.app.state.live).events(task, caller)
    return StreamingResponse(stream, media_type="text/event-stream", headers=HEADERS | _UNBUFFERED)


def _by_workspace(tasks: Sequence[TaskSummary]) -> dict[str, list[TaskSummary]]:
    """Return the tasks of each workspace by name. Those that need a person's attention come first."""
    ordered = sorted(tasks, key=lambda one: (one.workspace, one.phase != Phase.ATTENTION, one.task))
    return {workspace: list(group) for workspace, group in groupby(ordered, key=lambda one: one.workspace)}


ROUTERS = (router, acts.router, login.router, assets.router)
"""All routes of the page."""
