"""A file that one process writes at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tornio.errors import Conflict, InvalidFile


@contextmanager
def locked(path: Path) -> Iterator[BinaryIO]:
    """The file, made if it is not there, for reading and appending. Raises InvalidFile, and Conflict while another
    process has it."""
    try:
        file = path.open("a+b")
    except OSError as error:
        raise InvalidFile(f"cannot write {path}: {error.strerror or error}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The other process may have renamed or removed it between the two calls.
            is_other = not os.path.samestat(os.fstat(file.fileno()), path.stat())
        except OSError:
            is_other = True
        if is_other:
            raise Conflict(f"another process writes {path}. Wait for it, or give another --output")
        yield file
