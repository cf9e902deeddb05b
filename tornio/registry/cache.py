"""The node's cache of blobs, shared by the processes of a node and read by every model loader."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tornio.errors import IntegrityError
from tornio.registry.blobs import check_names, digest_of
from tornio.schemas.registry import Blob
from tornio.storage import keys
from tornio.storage.files import sha256_of
from tornio.storage.port import ObjectStore

_log = logging.getLogger(__name__)

_IN_USE_SECONDS = 3600.0
"""What was asked for in the last hour is never evicted. Later is safe: a loaded model keeps its open files."""

_Stat = tuple[int, int, int]


class NodeCache:
    """Blobs as files under ``root``, each checked against its digest once a process.

    Safe against two loaders at once (a file lock a blob), a kill in mid-download (a file takes its name when it
    is whole and checked) and a damaged file (fetched again). Files are read-only: never write into a folder that
    this gives. Above ``max_bytes`` the least recently used blobs go.

    Layout: ``blobs/{sha256}``, ``folders/{digest}/{name}`` (hard links), ``incoming/{sha256}``, ``locks``.
    """

    def __init__(self, root: Path, store: ObjectStore, max_bytes: int = 20 << 30) -> None:
        self._root = root
        self._store = store
        self._max_bytes = max_bytes
        self._checked: dict[str, _Stat] = {}

    def file(self, blob: Blob) -> Path:
        """The blob as a local file. Raises NotFound, IntegrityError, Unavailable."""
        path = self._root / "blobs" / blob.sha256
        with self._lock(blob.sha256):
            if not path.exists():
                self._fetch(blob, path)
            elif self._checked.get(blob.sha256) != _stat(path) and not _is_intact(blob, path):
                _log.warning("cached blob %s is damaged: fetching it again", blob.sha256)
                self._fetch(blob, path)
            _touch(path)
            self._checked[blob.sha256] = _stat(path)
        return path

    def folder(self, files: Mapping[str, Blob]) -> Path:
        """A folder with these files under their names. Raises NotFound, IntegrityError, Unavailable.

        IntegrityError, too, for a name that would leave the folder.
        """
        check_names(files)
        digest = digest_of(files)
        folder = self._root / "folders" / digest
        folder.mkdir(parents=True, exist_ok=True)
        for name, blob in files.items():
            self._link(blob, folder / name, digest)
        return folder

    def _link(self, blob: Blob, link: Path, digest: str) -> None:
        while True:
            path = self.file(blob)
            with self._lock(digest):
                link.parent.mkdir(parents=True, exist_ok=True)
                try:
                    if link.exists() and link.samefile(path):
                        return
                    fresh = link.with_name(f".part-{link.name}")
                    fresh.unlink(missing_ok=True)
                    os.link(path, fresh)
                except FileNotFoundError:  # evicted between the two lines
                    continue
                fresh.replace(link)
                return

    def _fetch(self, blob: Blob, path: Path) -> None:
        """Download under the blob's lock, so whatever lies in its incoming folder is of a killed process."""
        incoming = self._root / "incoming" / blob.sha256
        shutil.rmtree(incoming, ignore_errors=True)
        try:
            arrived = incoming / "blob"
            self._store.download(keys.blob(blob.sha256), arrived)
            if not _is_intact(blob, arrived):
                raise IntegrityError(
                    f"{keys.blob(blob.sha256)} in the store is not what its name promises "
                    f"({arrived.stat().st_size} bytes, {blob.size} expected): restore it from a backup or train again"
                )
            arrived.chmod(0o444)
            path.parent.mkdir(parents=True, exist_ok=True)
            arrived.replace(path)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
        self._evict()

    def _evict(self) -> None:
        """Bring the cache below its bound, one process at a time."""
        with self._lock("evict", wait=False) as mine:
            if not mine:
                return
            stats = {path: path.stat() for path in (self._root / "blobs").iterdir()}
            excess = sum(stat.st_size for stat in stats.values()) - self._max_bytes
            if excess <= 0:
                return
            links: dict[int, list[Path]] = {}
            for link in (self._root / "folders").rglob("*"):
                with suppress(FileNotFoundError):
                    links.setdefault(link.stat().st_ino, []).append(link)
            for path, stat in sorted(stats.items(), key=lambda item: item[1].st_atime):
                if excess > 0 and self._remove(path, links.get(stat.st_ino, [])):
                    excess -= stat.st_size

    def _remove(self, path: Path, links: list[Path]) -> bool:
        """Remove a blob and the links to it, unless it is in use."""
        with self._lock(path.name, wait=False) as mine:
            if not mine or time.time() - path.stat().st_atime < _IN_USE_SECONDS:
                return False
            for link in links:
                link.unlink(missing_ok=True)
                with suppress(OSError):  # other files are left in it
                    link.parent.rmdir()
            path.unlink()
            return True

    @contextmanager
    def _lock(self, digest: str, wait: bool = True) -> Iterator[bool]:
        """One holder at a time, between processes and threads alike; the system frees it when a holder dies."""
        locks = self._root / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with (locks / digest[:4]).open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True


def _stat(path: Path) -> _Stat:
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _is_intact(blob: Blob, path: Path) -> bool:
    return path.stat().st_size == blob.size and sha256_of(path) == blob.sha256


def _touch(path: Path) -> None:
    """Note the use for the eviction; the modification time stays, by which a damaged file is noticed."""
    os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
