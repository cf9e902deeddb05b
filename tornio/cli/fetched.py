"""The folder that ``tornio run fetch`` writes. A marker in it says of which run it is, and which files have come.

The marker is a text. Its first line is a JSON object that names the run; each other line has the name and the ETag of a
file that is whole. A line that is cut, because the process was killed, is as if it were not there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tornio.api import RunFileOut
from tornio.errors import InvalidFile, InvalidInput
from tornio.files.locked import locked

MARKER = ".tornio-run"
_FORMAT = 1


@dataclass(slots=True)
class Fetched:
    """The files that have come up to now, by name: their ETags."""

    _etags: dict[str, str]
    _marker: BinaryIO

    def has(self, file: RunFileOut, path: Path) -> bool:
        """Whether this file is there already, as it is listed now."""
        return self._etags.get(file.name) == file.etag and path.is_file() and path.stat().st_size == file.size

    def add(self, file: RunFileOut) -> None:
        """Remember that the file is there, so that it survives the end of this process."""
        self._etags[file.name] = file.etag
        self._marker.write(json.dumps([file.name, file.etag]).encode() + b"\n")
        self._marker.flush()


@contextmanager
def open_fetched(folder: Path, task: str, run: str) -> Iterator[Fetched]:
    """The folder for the files of this run, which one process writes at a time.

    Raises InvalidInput for a folder of another run, and for one with files of somebody else; InvalidFile; Conflict.
    """
    marker = folder / MARKER
    if folder.exists() and not folder.is_dir():
        raise InvalidFile(f"{folder} is a file, and a folder is needed. Give another --output")
    if folder.exists() and not marker.is_file() and any(folder.iterdir()):
        raise InvalidInput(f"{folder} has files that are not of this run. Give another --output, or empty the folder")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InvalidFile(f"cannot write {folder}: {error.strerror or error}") from error
    with locked(marker) as file:
        yield Fetched(_read(file, folder, {"format": _FORMAT, "task": task, "run": run}), file)


def _read(file: BinaryIO, folder: Path, head: dict[str, object]) -> dict[str, str]:
    """The ETags by name. What is not whole is cut off, and an empty marker gets its head."""
    file.seek(0)
    first = file.readline()
    if not first.endswith(b"\n"):
        file.truncate(0)
        file.write(json.dumps(head).encode() + b"\n")
        file.flush()
        return {}
    try:
        found = json.loads(first)
        lines = [line for line in file if line.endswith(b"\n")]
        etags = {str(name): str(etag) for name, etag in map(json.loads, lines)}
    except ValueError as error:
        raise InvalidInput(f"{folder / MARKER} cannot be read. Give another --output, or delete the folder") from error
    if found != head:
        raise InvalidInput(f"{folder} is the folder of another run. Give another --output, or delete the folder")
    file.truncate(len(first) + sum(map(len, lines)))
    return etags
