"""Folders of files as content-addressed blobs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from tornio.errors import IntegrityError, InvalidInput
from tornio.schemas.registry import Blob
from tornio.storage import keys
from tornio.storage.files import sha256_of
from tornio.storage.port import ObjectStore


def files_of(folder: Path) -> dict[str, Path]:
    """Every file under the folder by its relative POSIX name, in order; hidden ones are left out.

    Raises InvalidInput when there is none.
    """
    found = {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }
    if not found:
        raise InvalidInput(f"there is no file in {folder}: nothing to publish")
    return dict(sorted(found.items()))


def upload(store: ObjectStore, files: Mapping[str, Path]) -> dict[str, Blob]:
    """Upload what the store does not have yet and say which blob each name is.

    No condition is needed: whoever writes a blob's key writes the same bytes. One that another writer left
    truncated is written again.
    """
    blobs: dict[str, Blob] = {}
    for name, path in files.items():
        blob = Blob(sha256=sha256_of(path), size=path.stat().st_size)
        key = keys.blob(blob.sha256)
        present = store.head(key)
        if present is None or present.size != blob.size:
            store.upload(path, key)
        blobs[name] = blob
    return blobs


def digest_of(files: Mapping[str, Blob]) -> str:
    """One digest for a set of named files: SHA-256 of the canonical JSON of {name: sha256}."""
    names = {name: blob.sha256 for name, blob in files.items()}
    text = json.dumps(names, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def check_names(names: Iterable[str]) -> None:
    """Refuse file names that would leave their folder. Raises IntegrityError."""
    for name in names:
        path = PurePosixPath(name)
        odd = not name or "\\" in name or "\0" in name or path.is_absolute() or ".." in path.parts
        if odd or path.as_posix() != name or name == ".":
            raise IntegrityError(f"refused the file name {name!r}: it does not stay in its folder")


def check_digest(digest: str, files: Mapping[str, Blob]) -> None:
    """Refuse a set of files that is not what its digest promises. Raises IntegrityError."""
    found = digest_of(files)
    if found != digest:
        raise IntegrityError(f"the files of encoder {digest} have the digest {found}: restore its document")
