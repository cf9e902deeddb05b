"""The interface of an object store and its guarantees. Keys are relative to one bucket and prefix."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A body and the ETag under which it was read. Pass that ETag to ``put_if_match``."""

    body: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One entry of a listing. ``size`` is in bytes; ``modified`` is by the store's clock: rely on days only."""

    key: str
    size: int
    etag: str
    modified: datetime | None = None


class ObjectStore(Protocol):
    """Bytes under keys, with strongly consistent reads and conditional writes.

    Every method retries throttling and network faults with backoff, and then raises ``Unavailable``. After a
    conditional write with an unclear outcome, the implementation reads the body back and compares it before it
    reports a lost race. Bodies of different writers must therefore differ: they carry a token (see
    ``schemas.base.Document.writer``).
    """

    def get(self, key: str) -> StoredObject:
        """Return the object. Raises NotFound."""

    def get_if_changed(self, key: str, etag: str | None) -> StoredObject | None:
        """Return the object if its ETag differs from ``etag``, otherwise None. Raises NotFound."""

    def get_range(self, key: str, start: int, most: int) -> StoredObject:
        """Return at most so many bytes from an offset on, none from the end on. Raises NotFound."""

    def head(self, key: str) -> ObjectInfo | None:
        """Return the metadata of the object, or None if it does not exist."""

    def put(self, key: str, body: bytes) -> str:
        """Write the object, whether it exists or not. Returns the ETag."""

    def put_if_absent(self, key: str, body: bytes) -> str:
        """Write the object only if it does not exist. Returns the ETag; raises AlreadyExists."""

    def put_if_match(self, key: str, body: bytes, etag: str) -> str:
        """Write the object only if it has this ETag. Returns the new ETag; raises Changed."""

    def list(self, prefix: str, start_after: str | None = None) -> Iterator[ObjectInfo]:
        """List all objects under the prefix in key order. ``start_after`` is a full key and is excluded."""

    def folders(self, prefix: str) -> Iterator[str]:
        """Yield the names of the folders directly below ``prefix``, in no certain order, by one listing.

        ``prefix`` is empty or ends with a slash. Some servers keep a folder whose objects were all deleted.
        """

    def delete(self, keys: Iterable[str]) -> None:
        """Delete these objects. A key that does not exist is not an error."""

    def upload(self, path: Path, key: str) -> None:
        """Upload a file of any size (multipart above a few MiB)."""

    def put_pieces(self, key: str, pieces: Callable[[], Iterator[bytes]]) -> None:
        """Write an object of any size from its pieces, with only one or two of them in memory.

        The object becomes visible only when complete. If ``pieces`` raises, nothing is written. It is called again
        after a fault of the network.
        """

    def download(self, key: str, path: Path) -> None:
        """Download an object of any size. The file becomes visible only when complete. Raises NotFound."""
