"""A version with all that is known about it, as one tar stream: what a server hands out, and a client writes from."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tornio.errors import IntegrityError, NotFound
from tornio.models.kinds import KINDS
from tornio.registry import Encoders, Registry
from tornio.registry.blobs import check_names, is_intact
from tornio.schemas import keys
from tornio.schemas.base import Document
from tornio.schemas.registry import Blob, EncoderDocument, Manifest
from tornio.schemas.task import SpecDocument
from tornio.storage import documents
from tornio.storage.port import ObjectStore
from tornio.tasks import Task, named_version

MANIFEST, SPEC, ITERATION, BASE = "manifest.json", "spec.json", "iteration.json", "base.json"
MODEL, ENCODER = "model", "encoder"
"""Folders: the files of the version, and those of its base model if the version has no encoder of its own."""
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Bundle:
    """``tar`` yields the stream in pieces. It blocks, so it must run in a thread. Only one file at a time is on disk.

    It has the documents first: manifest, spec, and iteration and base model where there are any.
    """

    version: str
    tar: Iterator[bytes]


def bundle(task: Task, version: str | None = None) -> Bundle:
    """Return a version of the task. ``version``: its name, or ``previous``; None means the one that serves.

    Raises NotFound for a version that the task does not have, NotServable where none serves.
    """
    manifest = _manifest(task, version)
    base = None if manifest.encoder is None else _base(task.store, manifest.encoder.digest)
    iterations = (task.bootstrapped(),) if manifest.iteration == 0 else task.iterations()
    judged = next((one for one in iterations if one.version == manifest.version), None)
    spec, _ = documents.load(task.store, task.keys.spec(manifest.spec_rev), SpecDocument)
    told: dict[str, Document | None] = {MANIFEST: manifest, SPEC: spec, ITERATION: judged, BASE: base}
    files = {f"{MODEL}/{name}": blob for name, blob in manifest.blobs.items()}
    if base is not None:
        check_names(base.files)
        wanted = base.files if not KINDS[manifest.kind].own_encoder else terms(base.files)
        files |= {f"{ENCODER}/{name}": blob for name, blob in wanted.items()}
    return Bundle(manifest.version, _tar(task.store, {name: one for name, one in told.items() if one}, files))


def _manifest(task: Task, version: str | None) -> Manifest:
    registry = Registry(task.store, task.keys)
    name, _ = named_version(registry, task.full_name, version)
    manifest = registry.manifest(name)
    if manifest.kind not in KINDS:
        raise NotFound(f"{name} is of the kind {manifest.kind!r}, which this release does not know: upgrade Tornio.")
    return manifest


def _base(store: ObjectStore, digest: str) -> EncoderDocument | None:
    try:
        return Encoders(store).get(digest)
    except NotFound:  # a fine-tuned version does not need its base any longer
        return None


def terms(files: Mapping[str, Blob]) -> dict[str, Blob]:
    """The files of a base model that say under which licence it is."""
    return {name: blob for name, blob in files.items() if name.upper().startswith(("LICENSE", "README.MD"))}


def _tar(store: ObjectStore, told: Mapping[str, Document], files: Mapping[str, Blob]) -> Iterator[bytes]:
    for name, document in told.items():
        body = document.encode(document.writer)
        yield _header(name, len(body)) + body + _padding(len(body))
    with tempfile.TemporaryDirectory(prefix="tornio-export-") as folder:
        for name, blob in files.items():
            path = Path(folder) / "blob"
            store.download(keys.blob(blob.sha256), path)
            if not is_intact(blob, path):
                raise IntegrityError(f"{name} of the version does not match its digest. Restore it from a backup.")
            yield _header(name, blob.size)
            with path.open("rb") as file:
                while piece := file.read(_CHUNK):
                    yield piece
            path.unlink()
            yield _padding(blob.size)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.PAX_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)
