"""Write files for a user to keep: each appears under its name only when it is whole."""

from __future__ import annotations

import os
import tempfile
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


def check_empty(folder: Path) -> None:
    """Raise InvalidFile for a folder that has files already, and for a file of this name."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidFile(f"{folder} already exists and is not an empty folder. Delete it, or choose another name.")


@contextmanager
def writing_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes ``folder`` when the block ends without an error.

    Raises InvalidFile for a folder that is not empty, or one that cannot be written.
    """
    check_empty(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".part-", dir=folder.parent) as part:
            whole = Path(part) / "whole"
            whole.mkdir()
            yield whole
            whole.rename(folder)
    except OSError as error:
        raise InvalidFile(f"Cannot write {folder}: {error.strerror or error}") from error
