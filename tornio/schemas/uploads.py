"""Files that users sent from their machines, for runs on the cluster."""

from __future__ import annotations

from typing import ClassVar

from tornio.schemas.base import Document, Timestamp


class Upload(Document):
    """``{workspace}/uploads/{sha256}.{ending}/upload.json``: put before the first part of the file is taken.

    The parts are in ``parts/{number}`` until all have come and their digest is right. Then ``data.{ending}`` is the
    whole file. Everything in the folder is deleted when nothing has used the upload for some days.
    """

    FORMAT: ClassVar[str] = "upload"

    name: str
    """SHA-256 of the file, and its ending."""
    file: str
    """What the user called it. For people only."""
    size: int
    """In bytes."""
    part_bytes: int
    """Size of each part but the last."""
    who: str
    created_at: Timestamp
    used_at: Timestamp
    """When it was last sent, or named by a request for a run."""
    whole: bool = False
    """Whether all of it is there, with the right digest."""

    @property
    def count(self) -> int:
        """Number of parts."""
        return -(-self.size // self.part_bytes)

    def part_size(self, number: int) -> int:
        """Return the bytes of a part. Parts count from 0."""
        return min(self.part_bytes, self.size - number * self.part_bytes)
