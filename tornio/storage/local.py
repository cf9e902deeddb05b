"""An object store in a folder of this machine, for runs without a server. Many processes may use it at once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from fcntl import LOCK_EX, flock
from pathlib import Path
from urllib.parse import quote, unquote

from tornio.errors import AlreadyExists, Changed, InvalidInput, NotFound, Unavailable
from tornio.storage.files import appearing
from tornio.storage.port import ObjectInfo, StoredObject

_LOCK = ".lock"


class LocalStore:
    """An ``ObjectStore`` in a folder, which is created if missing. The parts of a key are percent-encoded folders.

    A body is visible completely or not at all. Writers take turns through one lock file, so that conditional writes
    are safe between processes of this machine, but not between machines that share the folder over a network.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInput(f"{folder} cannot be a folder for runs ({error}). Choose another one.") from error

    def get(self, key: str) -> StoredObject:
        return self.get_range(key, 0, -1)

    def get_range(self, key: str, start: int, most: int) -> StoredObject:
        try:
            with self._path(key).open("rb") as file:
                file.seek(start)
                return StoredObject(file.read(most), _etag(os.fstat(file.fileno())))
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise NotFound(f"Object {key} does not exist.") from None

    def get_if_changed(self, key: str, etag: str | None) -> StoredObject | None:
        present = self.get(key)
        return None if present.etag == etag else present

    def head(self, key: str) -> ObjectInfo | None:
        path = self._path(key)
        return self._info(path) if path.is_file() else None

    def put(self, key: str, body: bytes) -> str:
        with self._writing():
            return self._write(key, body)

    def put_if_absent(self, key: str, body: bytes) -> str:
        with self._writing():
            if self._path(key).exists():
                raise AlreadyExists(f"{key} already exists.")
            return self._write(key, body)

    def put_if_match(self, key: str, body: bytes, etag: str) -> str:
        with self._writing():
            present = self.head(key)
            if present is None or present.etag != etag:
                raise Changed(f"{key} no longer has the ETag {etag}. Read it again.")
            return self._write(key, body)

    def list(self, prefix: str, start_after: str | None = None) -> Iterator[ObjectInfo]:
        folder = self._path(prefix.rpartition("/")[0]) if "/" in prefix else self.folder
        keys = {self._key(path): path for path in folder.rglob("*") if path.is_file() and not _hidden(path)}
        for key in sorted(keys):
            if key.startswith(prefix) and key > (start_after or ""):
                yield self._info(keys[key])

    def folders(self, prefix: str) -> Iterator[str]:
        folder = self._path(prefix)
        if folder.is_dir():
            yield from (unquote(path.name) for path in folder.iterdir() if path.is_dir())

    def delete(self, keys: Iterable[str]) -> None:
        with self._writing():
            for key in keys:
                self._path(key).unlink(missing_ok=True)

    def upload(self, path: Path, key: str) -> None:
        with self._writing(), appearing(self._path(key)) as part:
            shutil.copyfile(path, part)

    def put_pieces(self, key: str, pieces: Callable[[], Iterator[bytes]]) -> None:
        with appearing(self._path(key)) as part, part.open("wb") as file:
            file.writelines(pieces())

    def download(self, key: str, path: Path) -> None:
        source = self._path(key)
        if not source.is_file():
            raise NotFound(f"Object {key} does not exist.")
        with appearing(path) as part:
            shutil.copyfile(source, part)

    def _write(self, key: str, body: bytes) -> str:
        try:
            with appearing(self._path(key)) as part:
                part.write_bytes(body)
            return _etag(self._path(key).stat())
        except OSError as error:
            raise Unavailable(f"{self.folder} cannot be written ({error}). Check whether the disk is full.") from error

    def _path(self, key: str) -> Path:
        # A leading dot is escaped, so that no part can leave the folder or name a hidden file.
        parts = [quote(part, safe=" ,=@+") for part in key.split("/") if part]
        return self.folder.joinpath(*("%2E" + part[1:] if part.startswith(".") else part for part in parts))

    def _key(self, path: Path) -> str:
        return "/".join(unquote(part) for part in path.relative_to(self.folder).parts)

    def _info(self, path: Path) -> ObjectInfo:
        stat = path.stat()
        modified = datetime.fromtimestamp(stat.st_mtime, UTC)
        return ObjectInfo(self._key(path), stat.st_size, _etag(stat), modified)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with (self.folder / _LOCK).open("a") as lock:
            flock(lock, LOCK_EX)  # released when the file is closed, also when the process is killed
            yield


def _hidden(path: Path) -> bool:
    return path.name.startswith(".")


def _etag(stat: os.stat_result) -> str:
    """Return an ETag from the file's metadata. Every write makes a new file, so no two writes share one."""
    return f'"{stat.st_ino:x}-{stat.st_mtime_ns:x}-{stat.st_size:x}"'
