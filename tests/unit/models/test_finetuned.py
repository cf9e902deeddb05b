"""The fine-tuned model in the registry: an encoder of its own, proved like any other, few of them in memory."""

from __future__ import annotations

import gc
import weakref
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from tornio.errors import UnfitCheckpoint
from tornio.models.finetuned import FineTunedModel, use_of, write_model
from tornio.models.head import LinearHead
from tornio.models.kinds import FINE_TUNED
from tornio.models.loading import Loader
from tornio.models.port import Model
from tornio.models.probes import make_probes
from tornio.models.sources import EncoderSource
from tornio.registry import NodeCache, Registry
from tornio.schemas.keys import TaskKeys
from tornio.schemas.registry import EncoderUse, Manifest
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.model

LABELS = ("billing", "bug")
USE = use_of(EncoderUse(digest="0" * 64, pooling="mean", normalise=True, max_length=16, layer=-2))


@pytest.fixture(scope="module")
def folder(minilm: EncoderSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's files, of a narrow BERT that was never trained."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    body = BertModel(BertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64))
    random = np.random.default_rng(0)
    head = LinearHead(LABELS, False, random.normal(size=(2, 32)).astype(np.float32), np.zeros(2, np.float32))
    made = tmp_path_factory.mktemp("model")
    write_model(made, body, head, minilm.folder)
    return made


def published(store: MemoryStore, folder: Path, version: str = "v0001-a") -> Manifest:
    manifest = Manifest(
        version=version,
        workspace="support",
        task="tickets",
        kind=FINE_TUNED,
        generation=1,
        iteration=1,
        labels=LABELS,
        label_set_rev=1,
        multi_label=False,
        encoder=USE,
        blobs={},
        probes=make_probes(FineTunedModel.load(folder, USE, "float32")),
        run="train-1",
        label_seq=1,
        pool_seq=1,
        spec_rev=1,
        seed=0,
        software={},
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return Registry(store, TaskKeys("support", "tickets")).publish(manifest, folder)


def test_it_uses_its_encoder_whole_and_as_it_comes() -> None:
    assert (USE.layer, USE.normalise, USE.pooling) == (-1, False, "mean")


def test_what_is_published_is_what_is_loaded(folder: Path, tmp_path: Path) -> None:
    store = MemoryStore()
    manifest = published(store, folder)
    assert {"model.safetensors", "config.json", "tokenizer.json", "head.safetensors"} <= set(manifest.blobs)
    assert not any("modules.json" in name or name.endswith(".py") for name in manifest.blobs)
    model = Loader(store, NodeCache(tmp_path, store), "float32").model(manifest)
    texts = ["I was charged twice", "", "word " * 50]
    scores, expected = model.score(texts), FineTunedModel.load(folder, USE, "float32").score(texts)
    np.testing.assert_array_equal(scores.logits, expected.logits)
    assert scores.truncated.tolist() == [False, False, True]
    np.testing.assert_allclose(model.predict_proba(texts).sum(axis=1), 1.0, rtol=1e-6)
    assert model.embed(texts).shape == (3, 32)


def test_one_that_is_not_what_was_trained_is_refused(folder: Path, tmp_path: Path) -> None:
    store = MemoryStore()
    manifest = published(store, folder)
    loader = Loader(store, NodeCache(tmp_path / "cache", store), "float32")
    spoiled = {
        "cannot be read": manifest.evolve(blobs={k: b for k, b in manifest.blobs.items() if k != "head.json"}),
        "needs config.json": manifest.evolve(
            blobs={k: b for k, b in manifest.blobs.items() if k != "model.safetensors"}
        ),
        "does not say how": manifest.evolve(encoder=None),
        "outputs for the probes differ": manifest.evolve(encoder=USE.evolve(pooling="cls")),
    }
    for said, spoilt in spoiled.items():
        with pytest.raises(UnfitCheckpoint, match=said):
            loader.model(spoilt)


def test_few_stay_in_memory(folder: Path, tmp_path: Path) -> None:
    """They are as large as their bases; and no number of them drives a few-shot model out."""
    store = MemoryStore()
    loader = Loader(store, NodeCache(tmp_path, store), "float32")
    manifests = [published(store, folder, f"v{number:04d}-a") for number in range(5)]
    kept = [weakref.ref(loader.model(manifest)) for manifest in manifests]
    gc.collect()
    assert [ref() is not None for ref in kept] == [False, False, False, True, True]
    held: Model = loader.model(manifests[4])
    loader.model(manifests[0])
    assert loader.model(manifests[4]) is held


def test_its_files_go_where_it_is_saved(folder: Path, tmp_path: Path) -> None:
    FineTunedModel.load(folder, USE, "float32").save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in folder.iterdir()}
