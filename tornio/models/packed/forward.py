"""The forward pass over packed texts.

There is no padding: the tokens of a batch are one matrix [T, hidden], and attention is computed by runs of texts of
equal length (on a GPU by varlen attention). Layers above the pooled one are not run, and the last layer is only run for
the tokens that are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tornio.arrays import FloatMatrix
from tornio.models.packed.architectures import Embeddings, Layer, Norm, Weights, head_of, read_weights
from tornio.models.packed.attention import Attention
from tornio.models.packed.batch import Batch, packed_batches, position_ids
from tornio.models.packed.dense import dense
from tornio.models.tokens import Tokens
from tornio.schemas.registry import Pooling

TOKEN_BUDGET = {"cpu": 4096, "cuda": 32_768}
"""Tokens per batch. On a processor activations stay in the cache. The value for GPUs is a guess (not measured)."""


class PackedEngine:
    """An ``Engine`` over the weights of a model that ``why_not`` accepts.

    In float32 its hidden states equal those of transformers within 1e-4, whatever texts share the batch. It shares
    memory with the model that it was made from: create a new engine after that model has been trained further.
    """

    def __init__(self, model: Any, budget: int | None = None) -> None:
        """``budget``: tokens per batch; None: a value that suits the device."""
        weights = read_weights(model)
        self.hidden_size = int(model.config.hidden_size)
        self.device: torch.device = weights.embeddings.words.device
        self.dtype: torch.dtype = weights.embeddings.words.dtype
        self._embedding = _Embedding(weights.embeddings)
        self._layers = tuple(_PackedLayer(layer, weights) for layer in weights.layers)
        self._budget = budget or TOKEN_BUDGET.get(self.device.type, TOKEN_BUDGET["cpu"])

    def pooled(self, tokens: Tokens, pooling: Pooling, layers: Sequence[int] = (-1,)) -> FloatMatrix:
        """Return float32 [n, layers * hidden_size]; see ``Engine``."""
        pooled = np.empty((len(tokens.ids), len(layers) * self.hidden_size), dtype=np.float32)
        with torch.inference_mode():
            for batch in packed_batches(tokens.lengths, self._budget):
                pooled[batch.rows] = self._pooled(tokens, batch, pooling, layers).cpu().numpy()
        return pooled

    def _pooled(self, tokens: Tokens, batch: Batch, pooling: Pooling, layers: Sequence[int]) -> Tensor:
        """Return float32 [n, layers * hidden] of one batch, in its order."""
        depths = [range(len(self._layers) + 1)[layer] for layer in layers]
        starts = torch.from_numpy(batch.starts).to(self.device)
        attention = Attention(batch, self.device)
        hidden = self._embedding(tokens, batch)
        found = {}
        for depth in range(max(depths) + 1):
            last = pooling == "cls" and depth == max(depths)  # the last layer is only run for the first tokens
            if depth:
                hidden = self._layers[depth - 1](hidden, attention, starts if last else None)
            if depth in depths:
                found[depth] = hidden.float() if last and depth else _pool(hidden, batch, starts, pooling)
        return torch.cat([found[depth] for depth in depths], dim=1)


def _pool(hidden: Tensor, batch: Batch, starts: Tensor, pooling: Pooling) -> Tensor:
    """Return float32 [n, hidden]: the state of each text's first token, or the mean of all its tokens."""
    if pooling == "cls":
        return hidden[starts].float()
    return torch.cat([hidden[run.tokens].view(run.rows, run.length, -1).float().mean(dim=1) for run in batch.runs])


class PackedClassifier:
    """A ``Classifier`` over a model with a classification head that ``why_not`` accepts."""

    def __init__(self, model: Any) -> None:
        self._engine = PackedEngine(model)
        self._head = head_of(model)

    def logits(self, tokens: Tokens) -> FloatMatrix:
        """Return float32 [n, classes]; see ``Classifier``."""
        first = torch.from_numpy(self._engine.pooled(tokens, "cls"))
        with torch.inference_mode():
            logits = self._head(first.to(self._engine.device, self._engine.dtype))
        return np.asarray(logits.float().cpu().numpy())


class _Embedding:
    """The sum of word, type and position embeddings, normalised and projected to the width of the layers."""

    def __init__(self, weights: Embeddings) -> None:
        self._weights = weights
        self._projection = dense(weights.projection) if weights.projection else None

    def __call__(self, tokens: Tokens, batch: Batch) -> Tensor:
        """Return [T, hidden]."""
        weights = self._weights
        ids = batch.concatenated(tokens.ids)
        embedded = _looked_up(weights.words, ids)
        if weights.types is not None:
            types = tokens.type_ids
            embedded += weights.types[0] if types is None else _looked_up(weights.types, batch.concatenated(types))
        embedded += _looked_up(weights.positions, position_ids(ids, batch, weights.padding))
        embedded = _normed(embedded, weights.norm)
        return embedded if self._projection is None else self._projection(embedded)


class _PackedLayer:
    """One transformer layer over packed texts."""

    def __init__(self, layer: Layer, weights: Weights) -> None:
        self._heads = weights.heads
        self._activation = weights.activation
        self._attention_norm, self._norm = layer.attention_norm, layer.norm
        self._qkv, self._attention_output = dense(layer.qkv), dense(layer.attention_output)
        self._up, self._down = dense(layer.up), dense(layer.down)

    def __call__(self, hidden: Tensor, attention: Attention, first: Tensor | None) -> Tensor:
        """Map [T, hidden] to [T, hidden], or, given ``first``, the indices of first tokens, to [n, hidden]."""
        qkv = self._qkv(hidden).view(len(hidden), 3, self._heads, -1)
        attended = attention(qkv, first_only=first is not None)
        residual = hidden if first is None else hidden[first]
        hidden = _normed(self._attention_output(attended).add_(residual), self._attention_norm)
        return _normed(self._down(self._activation(self._up(hidden))).add_(hidden), self._norm)


def _looked_up(table: Tensor, ids: NDArray[np.int64]) -> Tensor:
    return functional.embedding(torch.from_numpy(ids).to(table.device), table)


def _normed(x: Tensor, norm: Norm) -> Tensor:
    return functional.layer_norm(x, norm.weight.shape, norm.weight, norm.bias, norm.epsilon)
