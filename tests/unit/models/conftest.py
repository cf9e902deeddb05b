"""Small models to test with: the shipped encoder, loaded once, and an NLI cross-encoder with random weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from tornio.models.encoder import Encoder
from tornio.models.sources import EncoderSource, resolve_encoder


@pytest.fixture(scope="session")
def minilm() -> EncoderSource:
    return resolve_encoder("minilm")


@pytest.fixture(scope="session")
def encoder(minilm: EncoderSource) -> Encoder:
    """Cuts at 64 tokens, so that texts worth cutting are cheap."""
    return Encoder(
        minilm.folder, pooling=minilm.pooling, normalise=minilm.normalise, max_length=64, precision="float32"
    )


@pytest.fixture(scope="session")
def nli_folder(minilm: EncoderSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BERT of two narrow layers with MiniLM's tokenizer and the three classes of NLI."""
    from transformers import BertConfig, BertForSequenceClassification

    folder = tmp_path_factory.mktemp("nli")
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        initializer_range=0.2,
        label2id={"contradiction": 0, "neutral": 1, "entailment": 2},
        id2label={0: "contradiction", 1: "neutral", 2: "entailment"},
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        shutil.copy(minilm.folder / name, folder / name)
    return folder
