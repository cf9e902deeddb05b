"""Classifiers of no use but to tests: tiny, random, and read as any other."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from tornio.models.sources import resolve_encoder


def tiny_classifier(folder: Path, labels: Sequence[str]) -> Path:
    """A random BERT sequence classifier over these labels, in a folder as transformers saves it."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    names = dict(enumerate(labels))
    config = BertConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        initializer_range=0.2,
        id2label=names,
        label2id={name: number for number, name in names.items()},
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    source = resolve_encoder("minilm").folder
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        shutil.copy(source / name, folder / name)
    return folder
