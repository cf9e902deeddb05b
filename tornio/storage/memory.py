"""An object store in memory with the semantics of a real one, for tests. Hooks inject faults."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TypeVar

from tornio.errors import AlreadyExists, Changed, NotFound
from tornio.storage.files import appearing
from tornio.storage.port import ObjectInfo, StoredObject

T = TypeVar("T")
Hook = Callable[[str, str], None]
"""Called with the operation's name (a method of ``ObjectStore``) and its key or prefix."""


class MemoryStore:
    """An ``ObjectStore`` for tests. It is thread-safe, and empty at first.

    ``before`` is called before each operation; raising there simulates a fault without effect. ``after`` is called
    after each successful operation; raising there simulates a process killed between two lines, or a lost response.
    Both run outside the lock, so a hook may use the store itself, as a competing writer would. ``delete`` calls
    them once per key.
    """

    def __init__(self, before: Hook | None = None, after: Hook | None = None) -> None:
        self.before = before
        self.after = after
        self._objects: dict[str, StoredObject] = {}
        self._lock = Lock()

    def get(self, key: str) -> StoredObject:
        return self._do("get", key, lambda: self._present(key))

    def get_if_changed(self, key: str, etag: str | None) -> StoredObject | None:
        def read() -> StoredObject | None:
            present = self._present(key)
            return None if present.etag == etag else present

        return self._do("get_if_changed", key, read)

    def get_range(self, key: str, start: int, most: int) -> StoredObject:
        def read() -> StoredObject:
            present = self._present(key)
            return StoredObject(present.body[start : start + most], present.etag)

        return self._do("get_range", key, read)

    def head(self, key: str) -> ObjectInfo | None:
        def read() -> ObjectInfo | None:
            present = self._objects.get(key)
            return None if present is None else ObjectInfo(key, len(present.body), present.etag)

        return self._do("head", key, read)

    def put(self, key: str, body: bytes) -> str:
        return self._do("put", key, lambda: self._write(key, body))

    def put_if_absent(self, key: str, body: bytes) -> str:
        def write() -> str:
            if key in self._objects:
                raise AlreadyExists(f"{key} already exists.")
            return self._write(key, body)

        return self._do("put_if_absent", key, write)

    def put_if_match(self, key: str, body: bytes, etag: str) -> str:
        def write() -> str:
            present = self._objects.get(key)
            if present is None or present.etag != etag:
                raise Changed(f"{key} no longer has the ETag {etag}. Read it again.")
            return self._write(key, body)

        return self._do("put_if_match", key, write)

    def list(self, prefix: str, start_after: str | None = None) -> Iterator[ObjectInfo]:
        def read() -> tuple[ObjectInfo, ...]:
            keys = sorted(key for key in self._objects if key.startswith(prefix) and key > (start_after or ""))
            return tuple(ObjectInfo(key, len(self._objects[key].body), self._objects[key].etag) for key in keys)

        return iter(self._do("list", prefix, read))

    def folders(self, prefix: str) -> Iterator[str]:
        def read() -> tuple[str, ...]:
            below = [key.removeprefix(prefix).split("/") for key in self._objects if key.startswith(prefix)]
            return tuple(sorted({first for first, *rest in below if rest}))

        return iter(self._do("folders", prefix, read))

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._do("delete", key, partial(self._objects.pop, key, None))

    def upload(self, path: Path, key: str) -> None:
        body = path.read_bytes()
        self._do("upload", key, lambda: self._write(key, body))

    def put_pieces(self, key: str, pieces: Callable[[], Iterator[bytes]]) -> None:
        body = b"".join(pieces())
        self._do("put_pieces", key, lambda: self._write(key, body))

    def download(self, key: str, path: Path) -> None:
        present = self._do("download", key, lambda: self._present(key))
        with appearing(path) as part:
            part.write_bytes(present.body)

    def _present(self, key: str) -> StoredObject:
        try:
            return self._objects[key]
        except KeyError:
            raise NotFound(f"Object {key} does not exist.") from None

    def _write(self, key: str, body: bytes) -> str:
        etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        self._objects[key] = StoredObject(bytes(body), etag)
        return etag

    def _do(self, operation: str, key: str, act: Callable[[], T]) -> T:
        if self.before is not None:
            self.before(operation, key)
        with self._lock:
            result = act()
        if self.after is not None:
            self.after(operation, key)
        return result
