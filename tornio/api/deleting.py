"""Messages about records that are deleted from a task."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tornio.api.base import Answer, RecordId, Request

MAX_DELETED = 50_000
"""Record ids in one request. All of them are deleted, or none."""


class DeleteIn(Request):
    """Records of the pool. With ``dry_run`` nothing is deleted, and the answer says what would be."""

    record_ids: Annotated[list[RecordId], Field(min_length=1, max_length=MAX_DELETED)]
    dry_run: bool = False


class LearnedOut(Answer):
    """A version that has learned from some of the records: from ``labelled`` of them with their label, and perhaps from
    ``read`` others without, because its training method also reads the rest of the pool."""

    version: str
    labelled: int
    read: int


class RecordsDeleted(Answer):
    """What was deleted, or would be. ``already``: records that were deleted before. Everything else counts the
    ``records`` that were not: ``labelled`` ones, those of the ``holdout``, those in ``open`` batches. ``versions``:
    those that have learned from them, oldest first."""

    records: int
    already: int
    labelled: int
    holdout: int
    open: int
    versions: list[LearnedOut] = []
