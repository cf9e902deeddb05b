"""The forward pass of transformers for any architecture: batches sorted by length and padded to the longest text.

It runs the architectures that ``tornio.models.packed`` does not support.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tornio.arrays import FloatMatrix
from tornio.models.batching import MOST_ROWS, token_batches
from tornio.models.tokens import Tokens, padded
from tornio.schemas.registry import Pooling


class PaddedEngine:
    """An ``Engine`` over any transformers body."""

    def __init__(self, model: Any, pad_id: int) -> None:
        self._model = model
        self._pad_id = pad_id
        self.hidden_size = int(model.config.hidden_size)

    def pooled(self, tokens: Tokens, pooling: Pooling, layers: Sequence[int] = (-1,)) -> FloatMatrix:
        """Return float32 [n, layers * hidden_size]; see ``Engine``."""
        pooled = np.empty((len(tokens.ids), len(layers) * self.hidden_size), dtype=np.float32)
        with torch.inference_mode():
            for batch in token_batches(tokens.lengths):
                inputs = _inputs(self._model, tokens, batch, self._pad_id)
                states = self._states(inputs, layers)
                found = [_pooled(state, inputs["attention_mask"], pooling) for state in states]
                pooled[batch] = torch.cat(found, dim=1).cpu().numpy()
        return pooled

    def _states(self, inputs: dict[str, Tensor], layers: Sequence[int]) -> list[Tensor]:
        if tuple(layers) == (-1,):
            return [self._model(**inputs).last_hidden_state]
        states = self._model(**inputs, output_hidden_states=True).hidden_states
        return [states[layer] for layer in layers]


class PaddedClassifier:
    """A ``Classifier`` over any transformers model for sequence classification.

    A decoder classifies by its last token that is not padding. Without a padding token it cannot tell, and reads one
    text at a time.
    """

    def __init__(self, model: Any, pad_id: int) -> None:
        self._model = model
        self._pad_id = pad_id
        self._rows = MOST_ROWS if getattr(model.config, "pad_token_id", None) is not None else 1

    def logits(self, tokens: Tokens) -> FloatMatrix:
        """Return float32 [n, classes]; see ``Classifier``."""
        logits = np.empty((len(tokens.ids), self._model.config.num_labels), dtype=np.float32)
        with torch.inference_mode():
            for batch in token_batches(tokens.lengths, max_rows=self._rows):
                inputs = _inputs(self._model, tokens, batch, self._pad_id)
                logits[batch] = self._model(**inputs).logits.float().cpu().numpy()
        return logits


def _inputs(model: Any, tokens: Tokens, batch: Any, pad_id: int) -> dict[str, Tensor]:
    ids, mask = padded([tokens.ids[i] for i in batch], pad_id)
    arrays = {"input_ids": ids, "attention_mask": mask}
    if tokens.type_ids is not None:
        arrays["token_type_ids"] = padded([tokens.type_ids[i] for i in batch], 0)[0]
    return {name: torch.from_numpy(array).to(model.device) for name, array in arrays.items()}


def _pooled(hidden: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    hidden = hidden.float()
    if pooling == "cls":
        return hidden[:, 0]
    weights = mask[..., None].float()
    return (hidden * weights).sum(1) / weights.sum(1)
