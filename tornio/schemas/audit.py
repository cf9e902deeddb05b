"""The audit log of a workspace: who did what, and what came of it."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from tornio.schemas.base import Document, Timestamp


class Act(StrEnum):
    """What the audit log knows: everything that a key may change or take out of the server."""

    APPLY = "apply"
    MIGRATE_LABELS = "migrate-labels"
    ADD_RECORDS = "add-records"
    DELETE_RECORDS = "delete-records"
    IMPORT_LABELS = "import-labels"
    EXPORT_LABELS = "export-labels"
    EXPORT_MODEL = "export-model"
    IMPORT_MODEL = "import-model"
    ROLLBACK = "rollback"
    PROMOTE = "promote"
    PAUSE = "pause"
    RESUME = "resume"
    TRAIN_NOW = "train-now"
    START_RUN = "start-run"
    CANCEL_RUN = "cancel-run"
    EXPORT_RUN = "export-run"
    EXPORT_REPORT = "export-report"
    UPLOAD = "upload"
    DELETE_UPLOAD = "delete-upload"
    LOAD = "load"
    UNLOAD = "unload"


class Outcome(StrEnum):
    BEGUN = "begun"
    """Nobody has written what came of it: it goes on, its caller hung up, or the process or the bucket was away."""
    DONE = "done"
    REFUSED = "refused"
    """Nothing was changed, because the request could not be fulfilled."""
    FAILED = "failed"
    """An error of the server or of a part of it. The act may have taken effect."""


class AuditEvent(Document):
    """``audit/{newest first}-{token}-{task}.begun.json`` and ``.ended.json`` below the workspace: put if absent.

    ``newest first``: 10^13 less the milliseconds since 1970, so that a listing begins with the newest act. The first
    object is written before the act, the second one, with what came of it, afterwards. Neither has a text, a key or
    the message of an error.
    """

    FORMAT: ClassVar[str] = "audit-event"

    id: str
    """What the names of both objects begin with."""
    at: Timestamp
    who: str
    """Name of the API key."""
    act: str
    """One of ``Act``. A later release may know more."""
    workspace: str
    task: str
    detail: dict[str, int | str | bool | None] = {}
    """Counts, versions, revisions and ids."""
    outcome: str = Outcome.BEGUN
    """One of ``Outcome``."""
    error: str | None = None
    """Class of the error."""
    ended_at: Timestamp | None = None
