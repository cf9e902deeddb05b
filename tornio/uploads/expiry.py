"""Delete uploads that nothing has used for long, so that texts do not stay in the bucket unnoticed."""

from __future__ import annotations

import json
import logging
import re
from datetime import datetime, timedelta

from tornio.api import UPLOAD_PATTERN
from tornio.errors import NotFound
from tornio.runs import RunReader
from tornio.schemas.keys import UploadKeys, workspace_uploads
from tornio.schemas.uploads import Upload
from tornio.settings import UploadSettings
from tornio.storage import documents
from tornio.storage.port import ObjectStore
from tornio.tasks import Tasks
from tornio.uploads.uploads import UploadRoom

log = logging.getLogger(__name__)


def expire(store: ObjectStore, workspace: str, settings: UploadSettings, now: datetime) -> list[str]:
    """Delete the uploads of a workspace that are out of date, and return their names.

    Those of a run that is not over stay. Uploads that were never completed go, too, and so does what a deletion left.

    Raises the errors of the store. Nothing is deleted while a run cannot be read, because it may need an upload.
    """
    room = UploadRoom(store, workspace, settings, lambda: now)
    before = now - timedelta(days=settings.days)
    room.drop_remains(before)
    old = [upload.name for upload in room.documents() if upload.used_at < before]
    if not old:
        return []
    needed = _needed(store, workspace)
    gone = []
    for name in old:
        stored = documents.find(store, UploadKeys(workspace, name).document, Upload)
        if stored is None or stored[0].used_at >= before or name in needed:
            continue
        try:
            room.delete(name)
        except NotFound:  # another process was first
            continue
        log.info("deleted the upload %s of %s, last used at %s", name, workspace, stored[0].used_at)
        gone.append(name)
    return gone


def _needed(store: ObjectStore, workspace: str) -> frozenset[str]:
    """The uploads that the plans of runs name that are not over."""
    named = re.compile(f"/{re.escape(workspace_uploads(workspace))}({UPLOAD_PATTERN})/")
    found = set[str]()
    for task in Tasks(store).within(workspace):
        reader = RunReader(store, workspace, task)
        for run, _ in reader.asks():
            try:
                record = reader.run(run)
            except NotFound:  # its plan is gone, so no attempt of it can begin
                continue
            if not record.state.over:
                found |= {match[1] for match in named.finditer(json.dumps(record.plan.args))}
    return frozenset(found)
