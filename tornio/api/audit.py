"""Messages about the audit log of a workspace."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from tornio.api.base import Answer

MAX_AUDIT = 200
"""Events in one answer."""
AUDIT_ID = r"^[0-9]{13}-[0-9a-f]{12}-[a-z0-9_-]*$"


class AuditEventOut(Answer):
    """Who did what. ``outcome``: 'begun' (not known), 'done', 'refused', or 'failed' (it may have taken effect)."""

    id: str
    at: datetime
    who: str = Field(description="Name of the API key.")
    act: str
    workspace: str
    task: str
    detail: dict[str, int | str | bool | None] = Field({}, description="Counts, versions, revisions and ids.")
    outcome: str
    error: str | None = Field(None, description="Class of the error.")
    ended_at: datetime | None = None


class AuditPage(Answer):
    """Events, newest first. ``next``: the value of ``after`` for older ones; none are left without it."""

    events: list[AuditEventOut]
    next: str | None = None
