"""A model's forward pass, which serving, queries, scoring and the evaluation during training share."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol

from tornio.arrays import FloatMatrix
from tornio.models.packed.architectures import why_not
from tornio.models.packed.forward import PackedClassifier, PackedEngine
from tornio.models.padded import PaddedClassifier, PaddedEngine
from tornio.models.tokens import Tokens
from tornio.schemas.registry import Pooling

_log = logging.getLogger(__name__)


class Engine(Protocol):
    """A model's weights and forward pass. All uses of one encoder share it. Thread-safe."""

    hidden_size: int

    def pooled(self, tokens: Tokens, pooling: Pooling, layers: Sequence[int] = (-1,)) -> FloatMatrix:
        """Return float32 [n, layers * hidden_size] in the order of ``tokens``: the first token's state, or the mean of
        all, of one layer beside the other.

        ``layers``: the pooled layers, as transformers counts hidden states: -1 is the last, 0 the embeddings. Layers
        above the highest of them are not computed where the engine can stop there.
        """


class Classifier(Protocol):
    """A model with a classification head. Thread-safe."""

    def logits(self, tokens: Tokens) -> FloatMatrix:
        """Return float32 [n, classes] in the order of ``tokens``."""


def engine_for(model: Any) -> Engine:
    """Return the fastest engine for a transformers body. The engine takes it over: keep no other reference to it.

    A model that cannot be packed runs padded. The log reports this once per architecture.
    """
    return PackedEngine(model) if _packs(model) else PaddedEngine(model, _pad_id(model))


def classifier_for(model: Any) -> Classifier:
    """Return the fastest classifier for a transformers model for sequence classification."""
    return PackedClassifier(model) if _packs(model) else PaddedClassifier(model, _pad_id(model))


def _packs(model: Any) -> bool:
    reason = why_not(model)
    if reason is not None:
        _warn_once(type(model).__name__, reason)
    return reason is None


@cache
def _warn_once(architecture: str, reason: str) -> None:
    _log.warning("%s runs in padded batches, which are slower than packed ones: %s", architecture, reason)


def _pad_id(model: Any) -> int:
    """Return the id for padding. It is masked, so any would do, but models like RoBERTa derive positions from it."""
    pad = getattr(model.config, "pad_token_id", None)
    return pad if isinstance(pad, int) and pad >= 0 else 0
