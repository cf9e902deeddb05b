"""Write files for a user to keep: each appears under its name only when it is whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tornio.errors import InvalidFile
from tornio.storage.files import appearing


def check_folder(path: Path) -> None:
    """Raises InvalidFile if the folder of a path does not exist. Check it before a long run."""
    if path.parts[:1] == ("s3:",):
        raise InvalidFile(
            f"{path} is in S3, but the file is written on this machine. Give a path, and copy the file from there"
        )
    if not path.parent.is_dir():
        raise InvalidFile(f"cannot write {path}: the folder {path.parent} does not exist. Create it first")


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A temporary path to write to, which is renamed to ``path`` at the end of the block. Raises InvalidFile."""
    check_folder(path)
    try:
        with appearing(path) as part:
            umask = os.umask(0)  # the only way to read it is to set it
            os.umask(umask)
            part.chmod(0o666 & ~umask)
            yield part
    except OSError as error:
        raise InvalidFile(f"cannot write {path}: {error.strerror or error}") from error
