"""The file of a server's API keys, for those who change it: `tornio keys`, and `tornio up` for its own key."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from services.gateway.auth import read_keys
from tornio.errors import InvalidFile
from tornio.storage.files import appearing


def read(path: Path, missing: bool = True) -> list[dict[str, Any]]:
    """Return the entries as they are written. ``missing``: a file that does not exist has none.

    Raises InvalidFile if the file cannot be read, InvalidInput if it is no list of keys.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        if missing:
            return []
        raise InvalidFile(f"{path} does not exist. `tornio keys new` makes it.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidFile(f"{path} cannot be read: {error}") from error
    read_keys(text, str(path))
    return list(json.loads(text))


@contextmanager
def changing(path: Path, missing: bool = True) -> Iterator[list[dict[str, Any]]]:
    """Yield the entries, and write them back whole if the caller raises nothing. One process at a time changes a file.

    A server never reads half a file, because the new one takes the old one's place. Only its owner may read a new
    file. Raises what `read` raises, also for entries that the caller made invalid.
    """
    try:
        lock = os.open(path.parent, os.O_RDONLY)
    except OSError as error:
        raise InvalidFile(f"The folder of {path} cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        entries = read(path, missing)
        yield entries
        text = json.dumps(entries, ensure_ascii=False, indent=2) + "\n"
        read_keys(text, str(path))
        _replace(path, text)
    finally:
        os.close(lock)


def _replace(path: Path, text: str) -> None:
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    try:
        with appearing(path) as part:
            part.write_text(text, encoding="utf-8")
            part.chmod(mode)
    except OSError as error:
        raise InvalidFile(f"{path} cannot be written: {error.strerror}") from error
