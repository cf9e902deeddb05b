"""The report of a task: its page as one file."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from services.gateway.dependencies import PROBLEMS, Operator, Task, TheBackend
from services.gateway.page.gather import gather
from services.gateway.page.report import report
from tornio.schemas.audit import Act

router = APIRouter(prefix="/v1/tasks", tags=["tasks"], responses=PROBLEMS)

_EXAMPLE = '<!doctype html>\n<html lang="en">...</html>\n'
_HTML: dict[int | str, dict[str, Any]] = {
    "200": {
        "description": "One HTML file.",
        "content": {"text/html": {"schema": {"type": "string"}, "example": _EXAMPLE}},
    }
}
_HEADERS = {
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
"""A browser that opens the address shows the page, and nothing in it can act for the reader."""


@router.get("/{workspace}/{task}/report", response_class=HTMLResponse, responses=_HTML)
async def report_of_task(task: Task, backend: TheBackend, caller: Operator) -> HTMLResponse:
    """Return the page of the task as one HTML file, which loads nothing and runs no script. It contains texts."""
    async with backend.audit.act(Act.EXPORT_REPORT, caller.name, task):
        found = await gather(backend, caller, task)
        # In a thread, because predictions wait for the event loop.
        return HTMLResponse(await asyncio.to_thread(report, found), headers=_HEADERS)
