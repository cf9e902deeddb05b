"""Base models, shared by all tasks and known by the digest of their files."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from tornio.errors import InvalidInput
from tornio.registry import blobs
from tornio.schemas.registry import EncoderDocument, Pooling
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

    def get(self, digest: str) -> EncoderDocument:
        """Raises NotFound; IntegrityError for one whose files are not those of its digest."""
        document, _ = documents.load(self._store, keys.encoder(digest), EncoderDocument)
        blobs.check_digest(digest, document.files)
        return document
