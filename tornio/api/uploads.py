"""Uploads: files of users, which runs on the cluster may read."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from tornio.api.base import MIB, Answer, Request

UPLOAD = "upload:"
"""What the data of a request begins with if it is an upload of the task's workspace: ``upload:NAME``."""
ENDINGS = ("parquet", "pq", "csv", "tsv", "tab", "jsonl", "ndjson", "arrow", "feather", "json", "txt")
"""Endings of files that can be read."""
MODEL_ENDING = "tar"
"""Ending of the upload of a model."""
UPLOAD_PATTERN = rf"[0-9a-f]{{64}}\.({'|'.join((*ENDINGS, MODEL_ENDING))})"
"""Pattern of the name of an upload: the SHA-256 of the file, and its ending."""
PART_BYTES = 4 * MIB
"""Bytes of each part of an upload but the last. A line of 1 Mbit/s sends so much within the time of a body."""
MAX_PARTS = 1_000_000


class UploadIn(Request):
    """A file that is to be sent. ``size``: in bytes. ``file``: what people call it."""

    size: int = Field(ge=1, le=PART_BYTES * MAX_PARTS)
    file: str = Field("", max_length=500)


class UploadOut(Answer):
    """An upload. ``whole``: it can be used. Else ``missing`` are the first parts that are to be sent, from 0."""

    name: str
    file: str
    size: int
    part_bytes: int
    parts: int
    """Number of parts."""
    missing: list[int] = []
    """At most 1,000 of them."""
    received: int
    """Bytes that are there."""
    whole: bool
    who: str
    created_at: datetime
    expires_at: datetime
    """It is deleted then, if nothing uses it before."""


class UploadPartOut(Answer):
    """A part that has come. ``size``: in bytes."""

    part: int
    size: int


class Uploads(Answer):
    """The uploads of a workspace, newest first, with the sum of their sizes and how much it may be, in bytes."""

    uploads: list[UploadOut]
    bytes: int
    quota_bytes: int
