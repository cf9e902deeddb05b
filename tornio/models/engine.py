"""One model's forward pass: what serving, queries, scoring and the evaluation of a training all go through."""

from __future__ import annotations

import logging
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
    """A model's weights and the way through them; the uses of one encoder share it. Safe to share between threads."""

    hidden_size: int

    def pooled(self, tokens: Tokens, pooling: Pooling, layer: int = -1) -> FloatMatrix:
        """float32 [n, hidden_size], in the order of ``tokens``: the first token, or the mean of all.

        ``layer``: whose output, as transformers counts hidden states: -1 is the last, 0 the embeddings.
        """


class Classifier(Protocol):
    """A model with a classification head. Safe to share between threads."""

    def logits(self, tokens: Tokens) -> FloatMatrix:
        """float32 [n, classes], in the order of ``tokens``."""


def engine_for(model: Any) -> Engine:
    """The fastest engine for a transformers body, which it takes over: keep no other reference to the model.

    Raises nothing: what cannot be packed is padded, which the log says once for each architecture.
    """
    return PackedEngine(model) if _packs(model) else PaddedEngine(model, _pad_id(model))


def classifier_for(model: Any) -> Classifier:
    """The same for a transformers model for sequence classification."""
    return PackedClassifier(model) if _packs(model) else PaddedClassifier(model, _pad_id(model))


def _packs(model: Any) -> bool:
    reason = why_not(model)
    if reason is not None:
        _say_once(type(model).__name__, reason)
    return reason is None


@cache
def _say_once(architecture: str, reason: str) -> None:
    _log.warning("%s runs in padded batches, slower than packed ones: %s", architecture, reason)


def _pad_id(model: Any) -> int:
    """Masked, so any would do; RoBERTa's kin also tell positions by it."""
    pad = getattr(model.config, "pad_token_id", None)
    return pad if isinstance(pad, int) else 0
