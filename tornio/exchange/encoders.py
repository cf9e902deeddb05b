"""A base model of the store, such as one that was adapted, as a folder."""

from __future__ import annotations

from pathlib import Path

from tornio.errors import IntegrityError
from tornio.exchange.modules import write_modules
from tornio.registry.blobs import check_names, is_intact
from tornio.schemas import keys
from tornio.schemas.registry import EncoderDocument
from tornio.storage.port import ObjectStore

CARD = "README.md"


def write_encoder(store: ObjectStore, document: EncoderDocument, folder: Path) -> None:
    """Write a base model's files into an empty folder that transformers and sentence-transformers load.

    Files that say how it is pooled, and a card, are added where it has none. Raises NotFound and IntegrityError for
    files that are not there or damaged.
    """
    check_names(document.files)
    for name, blob in document.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        store.download(keys.blob(blob.sha256), path)
        if not is_intact(blob, path):
            raise IntegrityError(f"{name} of the base model does not match its digest. Restore it from a backup.")
    if not (folder / "modules.json").exists():
        write_modules(folder, document.dimension, document.pooling, document.normalise, document.max_length)
    if not (folder / CARD).exists():
        (folder / CARD).write_text(_card(document), encoding="utf-8")


def _card(document: EncoderDocument) -> str:
    commit = f" at commit {document.commit}" if document.commit else ""
    if document.parent is None:
        origin = f"A copy of {document.source}{commit}."
    else:
        origin = (
            f"{document.source}, which Tornio adapted to the texts of a task, in the run {document.run}, from the base "
            f"model with the digest {document.parent}."
        )
    return (
        f"---\nlibrary_name: sentence-transformers\ntags: [tornio]\n---\n\n# Base model\n\n{origin} Its digest in the "
        f"store is {document.digest}.\n\nIt gives vectors of {document.dimension} numbers and reads "
        f"{document.max_length} tokens. Its licence is that of the model it comes from: look that up before you pass "
        "it on.\n"
    )
