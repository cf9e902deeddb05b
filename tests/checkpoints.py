"""Checkpoints of no use but to tests: tiny, random, with a tokenizer of some words, and broken in one way each."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

WORDS = (
    "the",
    "parcel",
    "came",
    "late",
    "my",
    "refund",
    "is",
    "missing",
    "great",
    "service",
    "thanks",
    "lid",
    "broken",
)
SPECIAL = ("[CLS]", "[PAD]", "[UNK]", "[SEP]", "x", "y")
VOCABULARY = {word: number for number, word in enumerate((*SPECIAL, *WORDS))}
TINY = {
    "vocab_size": len(VOCABULARY),
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 34,
    "pad_token_id": 1,
}


def save_tokenizer(folder: Path, pad: str | None = "[PAD]") -> None:
    """Save a tokenizer that knows ``WORDS``."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.WordLevel(VOCABULARY, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", 0), ("[SEP]", 3)],
    )
    special = {"unk_token": "[UNK]"} | ({} if pad is None else {"pad_token": pad})
    loaded: Any = PreTrainedTokenizerFast
    loaded(tokenizer_object=made, **special).save_pretrained(folder)


def tiny(folder: Path, kind: str = "Bert", head: str = "Model", pad: str | None = "[PAD]", **config: Any) -> Path:
    """Save a random model: ``kind`` and ``head`` make its class, such as BertForSequenceClassification."""
    import torch
    import transformers

    torch.manual_seed(0)
    made = getattr(transformers, f"{kind}Config")(**{**TINY, **config})
    getattr(transformers, f"{kind}{head}")(made).save_pretrained(folder)
    save_tokenizer(folder, pad)
    return folder


def classifier(folder: Path, labels: Sequence[str] = ("bad", "good"), kind: str = "Bert", **config: Any) -> Path:
    """Save a random sequence classifier with these labels."""
    names = {"id2label": dict(enumerate(labels)), "label2id": {name: n for n, name in enumerate(labels)}}
    return tiny(folder, kind, "ForSequenceClassification", **{**names, **config})


def change_config(folder: Path, **changes: Any) -> Path:
    """Change fields of a config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


def change_weights(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Path:
    """Replace the tensors of a model.safetensors."""
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})
    return folder
