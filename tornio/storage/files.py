"""Digests of local files, and files that become visible only when they are complete."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, reading it as a stream."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``. On leaving without an error, flush it to disk and rename it to ``path``.

    A process killed during the write leaves ``path`` unchanged, and a ``.part-`` file beside it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".part-", dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        with part.open("rb") as file:  # reading is enough to flush it, and the writer may have made it read-only
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
