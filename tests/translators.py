"""Tiny sequence-to-sequence models with random weights, which translate into nonsense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tests.learning import WORDS

FURTHER = ("yellow", "seven", "under", "about", "really", "the", "or")
"""Words that the models write besides those that they read."""


def tiny_t5(folder: Path, seed: int = 0, writes: str | None = None, **changes: Any) -> Path:
    """A T5 with its tokenizer. ``writes``: the one token that it ever writes."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    fast: Any = PreTrainedTokenizerFast
    configuration: Any = T5Config
    words = ["<pad>", "</s>", "<unk>", *(word for group in WORDS.values() for word in group), *FURTHER]
    vocabulary = {word: number for number, word in enumerate(words)}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    made = fast(tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=40)
    made.save_pretrained(folder)
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2, "tie_word_embeddings": False}
    config = configuration(vocab_size=len(words), decoder_start_token_id=0, **{**sizes, **changes})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model: Any = T5ForConditionalGeneration(config)
        with torch.no_grad():
            for weight in model.parameters():  # large, so that outputs differ from text to text
                weight.normal_()
    model.generation_config.num_beams = 4  # as translators come: Tornio must not search by beams
    kept = [vocabulary[writes]] if writes else range(1, len(words))
    model.generation_config.suppress_tokens = [number for number in range(len(words)) if number not in kept]
    model.save_pretrained(folder)
    return folder
