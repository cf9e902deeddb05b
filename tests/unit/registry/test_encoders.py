"""Base models, known by the digest of their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tornio.errors import IntegrityError, InvalidInput, NotFound
from tornio.registry import Encoders
from tornio.schemas import keys
from tornio.schemas.registry import EncoderDocument
from tornio.storage import documents
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit

USE: dict[str, Any] = {
    "source": "hub/minilm",
    "commit": "abc",
    "architecture": "BertModel",
    "dimension": 384,
    "pooling": "mean",
    "normalise": True,
    "max_length": 256,
}


def encoder_folder(folder: Path) -> Path:
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"tensors")
    (folder / "config.json").write_text("{}")
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "lock").write_text("")
    return folder


def test_an_encoder_is_its_files(tmp_path: Path) -> None:
    encoders = Encoders(MemoryStore())
    first = encoders.publish(encoder_folder(tmp_path / "a"), **USE)
    again = encoders.publish(encoder_folder(tmp_path / "b"), **{**USE, "source": "elsewhere"})
    assert set(first.files) == {"model.safetensors", "config.json"}
    assert again == first == encoders.get(first.digest)
    (tmp_path / "b" / "config.json").write_text("{ }")
    assert encoders.publish(tmp_path / "b", **USE).digest != first.digest


def test_a_folder_with_pickles_alone_is_refused(tmp_path: Path) -> None:
    folder = encoder_folder(tmp_path / "a")
    (folder / "model.safetensors").unlink()
    with pytest.raises(InvalidInput, match="save_pretrained"):
        Encoders(MemoryStore()).publish(folder, **USE)


def test_an_unknown_encoder_is_not_found() -> None:
    with pytest.raises(NotFound):
        Encoders(MemoryStore()).get("ab" * 32)


def test_an_encoder_whose_files_were_exchanged_is_refused(tmp_path: Path) -> None:
    store = MemoryStore()
    encoder = Encoders(store).publish(encoder_folder(tmp_path / "a"), **USE)
    swapped = {**encoder.files, "config.json": encoder.files["model.safetensors"]}
    documents.update(store, keys.encoder(encoder.digest), EncoderDocument, lambda e: e.evolve(files=swapped))
    with pytest.raises(IntegrityError, match="Restore"):
        Encoders(store).get(encoder.digest)
