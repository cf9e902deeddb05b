"""A node's cache of blobs. All processes of the node share it, and every model loader reads from it."""

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
from tornio.registry.blobs import check_names, digest_of, is_intact
from tornio.schemas import keys
from tornio.schemas.registry import Blob
from tornio.storage.port import ObjectStore

_log = logging.getLogger(__name__)

_IN_USE_SECONDS = 3600.0
"""A blob used in the last hour is never evicted. Evicting later is safe, as a loaded model keeps its files open."""

_Stat = tuple[int, int, int]


class NodeCache:
    """Blobs as files under ``root``. Each process checks each blob once against its digest.

    The cache is safe with several loaders at once (one file lock per blob), with a process killed during a download
    (a file gets its name only when it is complete and checked), and with a damaged file (it is downloaded again).
    Files are read-only: never write into a folder that the cache returns. Above ``max_bytes`` the least recently used
    blobs are evicted.

    Layout: ``blobs/{sha256}``, ``folders/{digest}/{name}`` (hard links), ``incoming/{sha256}``, ``locks``.
    """

    def __init__(self, root: Path, store: ObjectStore, max_bytes: int = 20 << 30) -> None:
        self._root = root
        self._store = store
        self._max_bytes = max_bytes
        self._checked: dict[str, _Stat] = {}

    def file(self, blob: Blob) -> Path:
        """Return the blob as a local file. Raises NotFound, IntegrityError, Unavailable."""
        path = self._root / "blobs" / blob.sha256
        with self._lock(blob.sha256):
            if not path.exists():
                self._fetch(blob, path)
            elif self._checked.get(blob.sha256) != _stat(path) and not is_intact(blob, path):
                _log.warning("Cached blob %s is damaged. Downloading it again.", blob.sha256)
                self._fetch(blob, path)
            _touch(path)
            self._checked[blob.sha256] = _stat(path)
        return path

    def folder(self, files: Mapping[str, Blob]) -> Path:
        """Return a folder with these files under their names.

        Raises NotFound, Unavailable, and IntegrityError for a damaged blob or a name that points outside the folder.
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
                except FileNotFoundError:  # evicted meanwhile
                    continue
                fresh.replace(link)
                return

    def _fetch(self, blob: Blob, path: Path) -> None:
        """Download the blob. Its lock is held, so anything in its incoming folder was left by a killed process."""
        incoming = self._root / "incoming" / blob.sha256
        shutil.rmtree(incoming, ignore_errors=True)
        try:
            download = incoming / "blob"
            self._store.download(keys.blob(blob.sha256), download)
            if not is_intact(blob, download):
                raise IntegrityError(
                    f"{keys.blob(blob.sha256)} in the store does not match its digest "
                    f"({download.stat().st_size} bytes, {blob.size} expected). Restore it from a backup or train again."
                )
            download.chmod(0o444)
            path.parent.mkdir(parents=True, exist_ok=True)
            download.replace(path)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
        self._evict()

    def _evict(self) -> None:
        """Reduce the cache to ``max_bytes``. Only one process does this at a time."""
        with self._lock("evict", wait=False) as locked:
            if not locked:
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
        with self._lock(path.name, wait=False) as locked:
            if not locked or time.time() - path.stat().st_atime < _IN_USE_SECONDS:
                return False
            for link in links:
                link.unlink(missing_ok=True)
                with suppress(OSError):  # the folder still holds other files
                    link.parent.rmdir()
            path.unlink()
            return True

    @contextmanager
    def _lock(self, digest: str, wait: bool = True) -> Iterator[bool]:
        """Hold an exclusive lock between processes and threads. The system releases it when the holder dies."""
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


def _touch(path: Path) -> None:
    """Record the use for eviction. The modification time stays as it is, because it reveals damaged files."""
    os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
