"""Translate texts with any sequence-to-sequence model that transformers knows: MarianMT, T5, BART, mBART and others."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from tornio.errors import InvalidInput
from tornio.models.device import Precision
from tornio.models.limits import most_tokens
from tornio.models.pretrained import load_config, load_translator

LONGEST = 512
"""Tokens of a text, where neither the tokenizer nor the model states a limit."""
_UNBOUNDED = 100_000
_ROWS = 32
"""Texts that are translated side by side."""


class Translator:
    """A sequence-to-sequence model with its tokenizer. It cuts texts at ``longest`` tokens, the model's limit.

    Raises InvalidInput for a folder that is no such model, whose weights are not safetensors or do not fill it, whose
    tokenizer cannot be read, or that does not say which of many languages it writes.
    """

    def __init__(self, folder: Path, precision: Precision) -> None:
        self._folder = folder
        config = load_config(folder)
        self._tokenizer = _tokenizer(folder)
        self._model = load_translator(folder, precision)
        self._most = most_tokens(config) or _UNBOUNDED
        own = self._tokenizer.model_max_length
        limit = min(self._most, own if own < _UNBOUNDED else _UNBOUNDED)
        self.longest = limit if limit < _UNBOUNDED else LONGEST
        self._check()

    def _check(self) -> None:
        generation = self._model.generation_config
        if generation.decoder_start_token_id is None and generation.bos_token_id is None:
            raise InvalidInput(
                f"{self._folder} does not say how an output begins: generation_config.json and config.json have no "
                "decoder_start_token_id. Give a model that was saved with it."
            )
        many = hasattr(self._tokenizer, "src_lang") and generation.decoder_start_token_id == generation.eos_token_id
        if many and generation.forced_bos_token_id is None:
            raise InvalidInput(
                f"{self._folder} translates between many languages, and does not say which one it writes. Set "
                "forced_bos_token_id in its generation_config.json to the id of that language's code, and src_lang in "
                "its tokenizer_config.json to the code of the language it reads."
            )

    def translate(
        self, texts: Sequence[str], *, prefix: str, temperature: float, new_tokens: int, seeds: Sequence[int]
    ) -> list[str]:
        """Return the translation of each text, without spaces at its ends; '' where the model writes nothing.

        ``prefix``: comes before each text. ``temperature``: each token is drawn from the model's probabilities, whose
        logits are divided by it; at 0 it is the most probable one. ``new_tokens``: most tokens of a translation.
        ``seeds``: of each text's draws, so that a translation does not depend on the texts beside it.
        """
        found = [""] * len(texts)
        order = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
        for start in range(0, len(order), _ROWS):
            rows = order[start : start + _ROWS]
            chosen = [prefix + texts[row] for row in rows]
            made = self._written(chosen, temperature, new_tokens, [seeds[row] for row in rows])
            for row, text in zip(rows, made, strict=True):
                found[row] = text.strip()
        return found

    def _written(self, texts: list[str], temperature: float, new_tokens: int, seeds: list[int]) -> list[str]:
        drawn = [Drawn(temperature, seeds, self._model.device)] if temperature else []
        try:
            read = self._tokenizer(texts, return_tensors="pt", padding=True, truncation=True, max_length=self.longest)
            with torch.no_grad():
                ids = self._model.generate(
                    input_ids=read["input_ids"].to(self._model.device),
                    attention_mask=read["attention_mask"].to(self._model.device),
                    logits_processor=LogitsProcessorList(drawn),
                    max_new_tokens=min(new_tokens, self._most - 1),
                    **_ONE_BY_ONE,
                )
            return list(self._tokenizer.batch_decode(ids, skip_special_tokens=True))
        except Exception as error:  # torch and transformers raise whatever they meet
            raise InvalidInput(
                f"The model in {self._folder} cannot translate ({type(error).__name__}: {error}). Give another model."
            ) from error


_ONE_BY_ONE = {
    "do_sample": False, "num_beams": 1, "num_return_sequences": 1, "max_length": None, "temperature": None,
    "top_k": None, "top_p": None, "length_penalty": None, "early_stopping": None,
}  # fmt: skip
"""Overrides what a model's generation_config.json says of beams and sampling."""


class Drawn(LogitsProcessor):
    """Makes the largest logit a draw from the softmax of the logits divided by a temperature.

    The largest of logits with Gumbel noise is such a draw. Each row has random numbers of its own, so a text's draws do
    not depend on the rows beside it.
    """

    def __init__(self, temperature: float, seeds: Sequence[int], device: torch.device) -> None:
        self._temperature = temperature
        self._random = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        noise = torch.empty(scores.shape, dtype=torch.float32, device=scores.device)
        for row, random in zip(noise, self._random, strict=True):
            row.exponential_(generator=random)
        return scores.float() / self._temperature - noise.log()


def prove_translator(folder: Path, precision: Precision) -> None:
    """Load the model with all its weights, and let it write one token of a short and of a longest text.

    Raises InvalidInput with what went wrong.
    """
    translator = Translator(folder, precision)
    texts = ["a", "a " * translator.longest]
    translator.translate(texts, prefix="", temperature=0, new_tokens=1, seeds=[0, 0])


def is_translator(folder: Path) -> bool:
    """Return whether a folder's config.json names a class that translates."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES as KNOWN

    named = load_config(folder).architectures or []
    return bool(set(named) & set(KNOWN.values()))


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # transformers and tokenizers raise whatever they meet in broken files
        lacks = [name for name in ("sentencepiece", "sacremoses") if name in str(error).lower() and _lacks(name)]
        advice = (
            f"It needs the package {lacks[0]}: install it on every node that trains (pip install {lacks[0]})."
            if lacks
            else "Save it with transformers' save_pretrained."
        )
        raise InvalidInput(
            f"The tokenizer of {folder} cannot be read ({type(error).__name__}: {str(error).strip():.300}). {advice}"
        ) from error


def _lacks(package: str) -> bool:
    return find_spec(package) is None
