"""Base models, shared by all tasks and known by the digest of their files."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from pathlib import Path, PurePosixPath

from tornio.errors import AlreadyExists, InvalidInput
from tornio.registry import blobs
from tornio.schemas.registry import EncoderDocument, EncoderName, Pooling
from tornio.storage import documents, keys
from tornio.storage.port import ObjectStore

_NEVER_LOADED = frozenset(
    (".bin", ".ckpt", ".h5", ".joblib", ".msgpack", ".onnx", ".ot", ".pickle", ".pkl", ".pt", ".pth", ".tflite")
)
"""Pickles, which are never read, and the weights of other frameworks, which hub folders carry beside ours."""


class Encoders:
    """``encoders/{digest}.json`` and the blobs they name."""

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
    ) -> EncoderDocument:
        """Upload a folder in the hub's layout; published again, it is the document that stands there.

        Weights of other frameworks and pickles are left out. Raises InvalidInput for a folder without safetensors.
        """
        files = {
            name: path
            for name, path in blobs.files_of(folder).items()
            if PurePosixPath(name).suffix.lower() not in _NEVER_LOADED
        }
        if not any(name.endswith(".safetensors") for name in files):
            raise InvalidInput(
                f"{folder} has no .safetensors file, and other weights are never loaded: "
                "save the model with transformers' save_pretrained first"
            )
        uploaded = blobs.upload(self._store, files)
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
        )
        return documents.create_or_get(self._store, keys.encoder(document.digest), document)

    def give_name(self, name: str, document: EncoderDocument, layer: int, now: datetime) -> EncoderName:
        """Let the name mean this published encoder. Who has pinned what it meant before keeps that."""
        wanted = EncoderName(name=name, digest=document.digest, layer=layer, added_at=now)
        key = _name_key(name)
        try:
            return documents.create(self._store, key, wanted)
        except AlreadyExists:
            changes = wanted.model_dump(include={"digest", "layer", "added_at"})
            return documents.update(self._store, key, EncoderName, lambda before: before.evolve(**changes))

    def named(self, name: str) -> EncoderName | None:
        """What the name means, if somebody gave it."""
        found = documents.find(self._store, _name_key(name), EncoderName)
        return None if found is None else found[0]

    def all(self) -> list[tuple[EncoderDocument, list[EncoderName]]]:
        """Every encoder of the store, with its names."""
        keys_found = [info.key for info in self._store.list(keys.ENCODERS)]
        names = [
            documents.load(self._store, key, EncoderName)[0] for key in keys_found if key.startswith(keys.ENCODER_NAMES)
        ]
        found = [
            documents.load(self._store, key, EncoderDocument)[0]
            for key in keys_found
            if not key.startswith(keys.ENCODER_NAMES)
        ]
        return [(one, [name for name in names if name.digest == one.digest]) for one in found]

    def get(self, digest: str) -> EncoderDocument:
        """Raises NotFound; IntegrityError for one whose files are not those of its digest."""
        document, _ = documents.load(self._store, keys.encoder(digest), EncoderDocument)
        blobs.check_digest(digest, document.files)
        return document


def _name_key(name: str) -> str:
    return keys.encoder_name(sha256(name.encode()).hexdigest()[:32])
