"""Base models, shared by all tasks and identified by the digest of their files."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from pathlib import Path, PurePosixPath

from tornio.errors import AlreadyExists, InvalidInput
from tornio.registry import blobs
from tornio.schemas import keys
from tornio.schemas.registry import EncoderDocument, EncoderName, Pooling
from tornio.storage import documents
from tornio.storage.port import ObjectStore

_NEVER_LOADED = frozenset(
    (".bin", ".ckpt", ".h5", ".joblib", ".msgpack", ".onnx", ".ot", ".pickle", ".pkl", ".pt", ".pth", ".tflite")
)
"""Pickles, which are never read, and weights of other frameworks, which folders of the hub also contain."""


class Encoders:
    """``encoders/{digest}.json`` and the blobs that it names."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def publish(
        self,
        folder: Path,
        *,
        source: str,
        commit: str | None,
        architecture: str,
        dimension: int,
        pooling: Pooling,
        normalise: bool,
        max_length: int,
        parent: str | None = None,
        run: str | None = None,
        proof: Callable[[], None] = lambda: None,
    ) -> EncoderDocument:
        """Upload a folder in the hub's layout and return its document; the stored one if it was published before.

        Weights of other frameworks and pickles are left out. Raises InvalidInput for a folder without safetensors.
        ``parent``, ``run``: of an adapted encoder, its base's digest and the run that made it. ``proof``: called before
        an encoder is published for the first time; what it raises prevents that.
        """
        files = {
            name: path
            for name, path in blobs.files_of(folder).items()
            if PurePosixPath(name).suffix.lower() not in _NEVER_LOADED
        }
        if not any(name.endswith(".safetensors") for name in files):
            raise InvalidInput(
                f"{folder} has no .safetensors file, and other weights are never loaded. "
                "Save the model with transformers' save_pretrained first."
            )
        known = {name: blobs.blob_of(path) for name, path in files.items()}
        if self._store.head(keys.encoder(blobs.digest_of(known))) is None:
            proof()
        uploaded = blobs.upload(self._store, files, known)
        document = EncoderDocument(
            digest=blobs.digest_of(uploaded),
            source=source,
            commit=commit,
            architecture=architecture,
            dimension=dimension,
            pooling=pooling,
            normalise=normalise,
            max_length=max_length,
            files=uploaded,
            parent=parent,
            run=run,
        )
        return documents.create_or_get(self._store, keys.encoder(document.digest), document)

    def give_name(self, name: str, document: EncoderDocument, layer: int, now: datetime) -> EncoderName:
        """Give this name to a published encoder. Tasks that pinned the name's previous encoder keep that one."""
        wanted = EncoderName(name=name, digest=document.digest, layer=layer, added_at=now)
        key = _name_key(name)
        try:
            return documents.create(self._store, key, wanted)
        except AlreadyExists:
            changes = wanted.model_dump(include={"digest", "layer", "added_at"})
            return documents.update(self._store, key, EncoderName, lambda before: before.evolve(**changes))

    def claim_name(self, name: str, document: EncoderDocument, layer: int, now: datetime) -> EncoderName:
        """Give a published encoder a name that no other has. Raises AlreadyExists where another one has it."""
        wanted = EncoderName(name=name, digest=document.digest, layer=layer, added_at=now)
        stored = documents.create_or_get(self._store, _name_key(name), wanted)
        if stored.digest != document.digest:
            raise AlreadyExists(f"another base model has the name {name!r} already. Choose another name")
        return stored

    def named(self, name: str) -> EncoderName | None:
        """Return the encoder of this name, or None if nobody has given the name."""
        stored = documents.find(self._store, _name_key(name), EncoderName)
        return None if stored is None else stored[0]

    def all(self) -> list[tuple[EncoderDocument, list[EncoderName]]]:
        """Return every encoder of the store, with its names."""
        all_keys = [info.key for info in self._store.list(keys.ENCODERS)]
        names = [
            documents.load(self._store, key, EncoderName)[0] for key in all_keys if key.startswith(keys.ENCODER_NAMES)
        ]
        encoders = [
            documents.load(self._store, key, EncoderDocument)[0]
            for key in all_keys
            if not key.startswith(keys.ENCODER_NAMES)
        ]
        return [(encoder, [name for name in names if name.digest == encoder.digest]) for encoder in encoders]

    def get(self, digest: str) -> EncoderDocument:
        """Return an encoder. Raises NotFound, and IntegrityError if its files do not match its digest."""
        document, _ = documents.load(self._store, keys.encoder(digest), EncoderDocument)
        blobs.check_digest(digest, document.files)
        return document


def _name_key(name: str) -> str:
    return keys.encoder_name(sha256(name.encode()).hexdigest()[:32])
