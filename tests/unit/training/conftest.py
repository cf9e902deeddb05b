"""A base model that learns in a second: BERT of two narrow layers, with random weights and MiniLM's tokenizer."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from tornio.models.sources import resolve_encoder
from tornio.schemas.registry import EncoderUse


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    config = BertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
    BertModel(config).save_pretrained(folder)
    shipped = resolve_encoder("minilm").folder
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        shutil.copy(shipped / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def use() -> EncoderUse:
    return EncoderUse(digest="0" * 64, pooling="mean", normalise=True, max_length=32)
