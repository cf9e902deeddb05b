"""Files for a user to keep: whole or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tornio.errors import InvalidFile
from tornio.storage.files import appearing


def check_folder(path: Path) -> None:
    """Raises InvalidFile where the folder of a path is not there: better before a long run than after."""
    if path.parts[:1] == ("s3:",):
        raise InvalidFile(
            f"{path} would be in S3, and it is written on this machine: give a path, and copy it from there"
        )
    if not path.parent.is_dir():
        raise InvalidFile(f"{path}: there is no folder {path.parent}")


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the name ``path`` when it is whole. Raises InvalidFile where it cannot."""
    check_folder(path)
    try:
        with appearing(path) as part:
            umask = os.umask(0)  # there is no other way to read it
            os.umask(umask)
            part.chmod(0o666 & ~umask)
            yield part
    except OSError as error:
        raise InvalidFile(f"cannot write {path}: {error.strerror or error}") from error
