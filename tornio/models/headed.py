"""The base of our classifiers: an encoder, and a linear head on its vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tornio.arrays import FloatMatrix
from tornio.errors import UnfitCheckpoint
from tornio.models.head import LinearHead
from tornio.models.port import Reading, ReadingEncoder, Scores
from tornio.schemas.registry import EncoderUse

DROPOUT = 0.1
"""Share of the numbers of an embedding that a stochastic pass leaves out: what encoders are trained with."""


class HeadedEncoder:
    """The parts of the ``Model`` interface that are the same for frozen and fine-tuned encoders."""

    thresholds: Mapping[str, float]
    chosen: tuple[str, str] | None = None
    """Its kind, and why, of a model that has just been trained, where the training decided."""

    def __init__(self, head: LinearHead, use: EncoderUse, encoder: ReadingEncoder) -> None:
        if head.weight.shape[1] != encoder.dimension:
            raise UnfitCheckpoint(
                f"the head takes vectors of {head.weight.shape[1]} numbers, but its encoder returns {encoder.dimension}"
            )
        self.head = head
        self.use = use
        self.thresholds = head.thresholds
        self._encoder = encoder

    @property
    def labels(self) -> tuple[str, ...]:
        return self.head.labels

    @property
    def multi_label(self) -> bool:
        return self.head.multi_label

    def score(self, texts: Sequence[str]) -> Scores:
        embedded = self._encoder.embed(texts)
        scores = self.score_vectors(embedded.vectors)
        return Scores(scores.logits, scores.probabilities, embedded.truncated, reading=embedded.reading)

    def score_vectors(self, vectors: FloatMatrix) -> Scores:
        """Score float32 [n, dim] embeddings of this model's encoder, used as ``use`` specifies.

        ``truncated`` is all false: only the caller, who embedded the texts, knows it.
        """
        logits = self.head.logits(vectors)
        return Scores(logits, self.head.probabilities(logits), np.zeros(len(vectors), dtype=bool))

    @property
    def linear(self) -> bool:
        return True

    def sample_vectors(self, vectors: FloatMatrix, passes: int, seed: int) -> NDArray[np.float32]:
        """float32 [passes, n, labels]: probabilities with dropout on the vectors, at the rate ``DROPOUT``.

        Source: Gal and Ghahramani (2016), "Dropout as a Bayesian Approximation", section 4. Unlike there, only the
        input of the head is dropped, not the layers below it, so that cached embeddings can be used.
        """
        random = np.random.default_rng(seed)
        scaled = vectors / np.float32(1.0 - DROPOUT)

        def one_pass() -> FloatMatrix:
            kept = random.random(vectors.shape, dtype=np.float32) >= DROPOUT
            return self.score_vectors(scaled * kept).probabilities

        return np.stack([one_pass() for _ in range(passes)])

    def predict_proba(self, texts: Sequence[str]) -> FloatMatrix:
        return self.score(texts).probabilities

    def embed(self, texts: Sequence[str]) -> FloatMatrix:
        return self._encoder.embed(texts).vectors

    def read(self, texts: Sequence[str]) -> Reading:
        return self._encoder.read(texts)
