"""Folders of files as content-addressed blobs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from tornio.errors import IntegrityError, InvalidInput
from tornio.schemas import keys
from tornio.schemas.registry import Blob
from tornio.storage.files import sha256_of
from tornio.storage.port import ObjectStore


def files_of(folder: Path) -> dict[str, Path]:
    """Return every file under the folder by its relative POSIX name, in order. Hidden files are left out.

    Raises InvalidInput if the folder has no file, and for a link that leads outside (``check_links``).
    """
    check_links(folder)
    files = {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }
    if not files:
        raise InvalidInput(f"{folder} has no files, so there is nothing to publish.")
    return dict(sorted(files.items()))


def check_links(folder: Path) -> None:
    """Raise InvalidInput for a symbolic link that leads outside of the folder: its target was not meant to be shared.

    The hub's cache keeps its files in ``blobs`` beside ``snapshots/{commit}``; links from there to there are allowed.
    """
    own = folder.resolve()
    inside = [own, *(above.parent / "blobs" for above in own.parents if above.name == "snapshots")]
    for path in folder.rglob("*"):
        if path.is_symlink() and not any(path.resolve().is_relative_to(root) for root in inside):
            raise InvalidInput(
                f"{path} is a link to a file outside of its folder, which is not followed. Replace it by a copy."
            )


def blob_of(path: Path) -> Blob:
    """Return digest and size of a file."""
    return Blob(sha256=sha256_of(path), size=path.stat().st_size)


def is_intact(blob: Blob, path: Path) -> bool:
    """Whether the file has the size and the digest of the blob."""
    return path.stat().st_size == blob.size and sha256_of(path) == blob.sha256


def upload(store: ObjectStore, files: Mapping[str, Path], known: Mapping[str, Blob] | None = None) -> dict[str, Blob]:
    """Upload the files that the store does not have yet, and return the blob of each name.

    ``known``: the blobs, if they were computed already.

    A conditional write is not needed, because every writer of a blob's key writes the same bytes. A blob that another
    writer left truncated is written again.
    """
    blobs: dict[str, Blob] = {}
    for name, path in files.items():
        blob = blob_of(path) if known is None else known[name]
        key = keys.blob(blob.sha256)
        present = store.head(key)
        if present is None or present.size != blob.size:
            store.upload(path, key)
        blobs[name] = blob
    return blobs


def digest_of(files: Mapping[str, Blob]) -> str:
    """Return one digest for a set of named files: SHA-256 of the canonical JSON of {name: sha256}."""
    names = {name: blob.sha256 for name, blob in files.items()}
    text = json.dumps(names, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def check_names(names: Iterable[str]) -> None:
    """Refuse file names that point outside their folder. Raises IntegrityError."""
    for name in names:
        path = PurePosixPath(name)
        unsafe = not name or "\\" in name or "\0" in name or path.is_absolute() or ".." in path.parts
        if unsafe or path.as_posix() != name or name == ".":
            raise IntegrityError(f"The file name {name!r} was refused: it points outside its folder.")


def check_digest(digest: str, files: Mapping[str, Blob]) -> None:
    """Refuse a set of files that does not match its digest. Raises IntegrityError."""
    actual = digest_of(files)
    if actual != digest:
        raise IntegrityError(f"The files of encoder {digest} have the digest {actual}. Restore the encoder's document.")
