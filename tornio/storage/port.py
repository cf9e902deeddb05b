"""The object store as a port: what every store must promise. Keys are relative to one bucket and prefix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A body with the ETag under which it was read; ``put_if_match`` takes that ETag."""

    body: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One line of a listing. ``size`` in bytes; ``modified`` by the store's clock, for people alone."""

    key: str
    size: int
    etag: str
    modified: datetime | None = None


class ObjectStore(Protocol):
    """Bytes under keys, with strongly consistent reads and conditional writes.

    Every method retries throttling and network faults with backoff and then raises ``Unavailable``. After an
    unclear conditional write the implementation reads back and compares before it says that it lost; bodies
    that must tell two writers apart carry a token (see ``schemas.base.Document.writer``).
    """

    def get(self, key: str) -> StoredObject:
        """Raises NotFound."""

    def get_if_changed(self, key: str, etag: str | None) -> StoredObject | None:
        """The object if its ETag is another than ``etag``, else None. Raises NotFound."""

    def head(self, key: str) -> ObjectInfo | None:
        """What stands under the key, or None."""

    def put(self, key: str, body: bytes) -> str:
        """Write whatever stands there. Returns the ETag."""

    def put_if_absent(self, key: str, body: bytes) -> str:
        """Write only where nothing stands. Returns the ETag; raises AlreadyExists."""

    def put_if_match(self, key: str, body: bytes, etag: str) -> str:
        """Write only over the body that has this ETag. Returns the new ETag; raises Changed."""

    def list(self, prefix: str, start_after: str | None = None) -> Iterator[ObjectInfo]:
        """Everything under the prefix, by key; ``start_after`` is a full key and is left out."""

    def delete(self, keys: Iterable[str]) -> None:
        """Remove these; a key that is not there is no error."""

    def upload(self, path: Path, key: str) -> None:
        """Write a file of any size (multipart above a few MiB)."""

    def download(self, key: str, path: Path) -> None:
        """Read an object of any size into a file, which appears only when whole. Raises NotFound."""
